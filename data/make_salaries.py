"""Write ``salaries.csv``, the made-up survey sample, and its entry in ``manifest.json``.

    python data/make_salaries.py

Nobody's answers are in it. Every row is drawn from the tables below: rounded *aggregate* figures (shares, typical
salaries, effects) of the real survey that README.md names, and, for AI use, figures published about it. The effects
planted here are what a model can find: experience, country, languages, education, employer and a little AI use.
"""

import csv
import hashlib
import io
import json
from pathlib import Path
from statistics import NormalDist

import numpy as np

HERE = Path(__file__).resolve().parent
SEED, ROWS = 2025, 8_000
FIRST_ID = 900_001  # above every id of the real survey, so that no row can be taken for a real one

# country: (share of rows in ‰, typical salary in thousand USD, spread of log salary around what the rest explains)
COUNTRIES = {
    "United States of America": (230, 140, 0.50),
    "Germany": (97, 76, 0.46),
    "United Kingdom of Great Britain and Northern Ireland": (63, 93, 0.46),
    "France": (46, 65, 0.46),
    "India": (41, 23, 0.72),
    "Canada": (39, 86, 0.48),
    "Netherlands": (28, 83, 0.46),
    "Italy": (26, 49, 0.44),
    "Australia": (26, 95, 0.48),
    "Poland": (25, 56, 0.66),
    "Brazil": (25, 33, 0.68),
    "Ukraine": (24, 34, 0.76),
    "Spain": (24, 61, 0.48),
    "Sweden": (20, 67, 0.50),
    "Switzerland": (18, 131, 0.48),
    "Czech Republic": (16, 57, 0.55),
    "Austria": (12, 73, 0.46),
    "Denmark": (11, 85, 0.60),
    "Belgium": (10, 72, 0.48),
    "Romania": (9, 49, 0.78),
    "Portugal": (9, 57, 0.56),
    "South Africa": (9, 39, 0.76),
    "Norway": (8, 93, 0.44),
    "Finland": (8, 73, 0.48),
    "Israel": (8, 111, 0.64),
    "New Zealand": (7, 70, 0.46),
    "Greece": (7, 40, 0.54),
    "Turkey": (7, 35, 0.74),
    "Ireland": (7, 110, 0.40),
    "Mexico": (7, 35, 0.68),
    "Argentina": (7, 39, 0.68),
    "Bulgaria": (7, 49, 0.64),
    "Hungary": (7, 48, 0.66),
    "Japan": (5, 52, 0.54),
    "Russian Federation": (5, 34, 0.72),
    "Slovakia": (5, 53, 0.48),
    "China": (5, 40, 0.66),
    "Colombia": (5, 32, 0.66),
    "Bangladesh": (5, 15, 0.80),
    "Serbia": (4, 50, 0.74),
    "Croatia": (4, 50, 0.52),
    "Chile": (4, 30, 0.54),
    "Pakistan": (3, 15, 0.68),
    "Lithuania": (3, 63, 0.58),
    "Slovenia": (3, 57, 0.62),
    "Singapore": (3, 98, 0.66),
    "Philippines": (3, 21, 0.76),
    "Taiwan": (3, 40, 0.56),
    "Thailand": (2, 42, 0.70),
    "Malaysia": (2, 23, 0.50),
    "Estonia": (2, 62, 0.80),
    "Indonesia": (2, 15, 0.90),
    "Uruguay": (2, 62, 0.80),
    "Sri Lanka": (2, 22, 0.80),
    "Latvia": (2, 45, 0.60),
    "Kenya": (1, 35, 0.90),
    "Viet Nam": (1, 18, 0.80),
    "Nigeria": (1, 15, 0.80),
    "Egypt": (1, 21, 0.70),
    "Peru": (1, 31, 0.90),
}

# language: (share of rows in %, kind, effect on log salary). Kinds are used together: see draw_languages().
LANGUAGES = {
    "Bash/Shell (all shells)": (48, "systems", 0.06),
    "C": (17, "systems", -0.05),
    "C#": (27, "enterprise", -0.03),
    "C++": (19, "systems", -0.02),
    "Dart": (5, "web", -0.05),
    "Delphi": (2, "enterprise", -0.05),
    "Elixir": (2.5, "web", 0.15),
    "Go": (16, "systems", 0.10),
    "Groovy": (5, "enterprise", 0.05),
    "HTML/CSS": (58, "web", -0.08),
    "Java": (26, "enterprise", -0.04),
    "JavaScript": (63, "web", -0.02),
    "Kotlin": (10, "enterprise", 0.02),
    "Lua": (8, "systems", 0),
    "MATLAB": (3, "systems", 0),
    "MicroPython": (1.6, "systems", 0),
    "PHP": (17, "web", -0.16),
    "Perl": (3.5, "systems", 0),
    "PowerShell": (23, "enterprise", -0.02),
    "Python": (54, "systems", 0.03),
    "R": (4, "systems", 0),
    "Ruby": (6.5, "web", 0.10),
    "Rust": (13, "systems", 0.06),
    "SQL": (58, "enterprise", 0.02),
    "Scala": (2.5, "enterprise", 0.20),
    "Swift": (5, "web", 0.07),
    "TypeScript": (44, "web", 0.09),
    "VBA": (4, "enterprise", -0.03),
    "Visual Basic (.Net)": (4, "enterprise", -0.05),
    "Zig": (1.6, "systems", 0),
}

# For each choice: answer: (share of rows in %, effect on log salary). "" is an unanswered question.
ROLES = {
    "Developer, full-stack": (32.5, 0),
    "Developer, back-end": (17, 0.03),
    "Architect, software or solutions": (7, 0.12),
    "Developer, desktop or enterprise applications": (5, -0.05),
    "Developer, front-end": (4.5, -0.08),
    "Developer, embedded applications or devices": (3.5, -0.03),
    "Engineering manager": (3, 0.25),
    "Developer, mobile": (3, 0),
    "DevOps engineer or professional": (3, 0.05),
    "Academic researcher": (2.5, -0.3),
    "Data engineer": (2, 0.1),
    "AI/ML engineer": (1.5, 0.2),
    "Data scientist": (1.5, 0.1),
    "Senior executive (C-suite, VP, etc.)": (1.5, 0.3),
    "Cloud infrastructure engineer": (1.5, 0.15),
    "System administrator": (1, -0.2),
    "Developer, QA or test": (1, -0.1),
    "Cybersecurity or InfoSec professional": (1, 0.1),
    "Other (please specify):": (8, -0.05),
}
EDUCATION = {
    "Bachelor’s degree (B.A., B.S., B.Eng., etc.)": (43, 0),
    "Master’s degree (M.A., M.S., M.Eng., MBA, etc.)": (30, 0.05),
    "Some college/university study without earning a degree": (12, -0.09),
    "Professional degree (JD, MD, Ph.D, Ed.D, etc.)": (5.5, 0.04),
    "Secondary school (e.g. American high school, German Realschule or Gymnasium, etc.)": (5, -0.13),
    "Associate degree (A.A., A.S., etc.)": (3.5, -0.06),
    "Other (please specify):": (1, -0.15),
}
EMPLOYMENT = {
    "Employed": (83.5, 0),
    "Independent contractor, freelancer, or self-employed": (12, 0.05),
    "Student": (2, -0.85),
    "Not employed": (2, -0.2),
    "Retired": (0.5, -0.6),
}
REMOTE = {
    "Remote": (29.5, 0.12),
    "Hybrid (some remote, leans heavy to in-person)": (18, -0.02),
    "Hybrid (some in-person, leans heavy to flexibility)": (16.5, 0),
    "In-person": (13, -0.15),
    "Your choice (very flexible, you can come in when you want or just as needed)": (12, 0),
    "": (11, 0),
}
EMPLOYER_SIZE = {
    "20 to 99 employees": (18, 0),
    "100 to 499 employees": (17, 0.07),
    "10,000 or more employees": (14, 0.2),
    "Less than 20 employees": (13.5, -0.1),
    "1,000 to 4,999 employees": (12, 0.12),
    "500 to 999 employees": (7, 0.09),
    "5,000 to 9,999 employees": (4.5, 0.12),
    "Just me - I am a freelancer, sole proprietor, etc.": (2.5, -0.3),
    "": (11.5, 0),
}
# Shares among all who answered the question in the full 2025 survey; the effects are made up.
AI_USE = {
    "Yes, I use AI tools daily": (47.1, 0.06),
    "Yes, I use AI tools weekly": (17.7, 0.04),
    "Yes, I use AI tools monthly or infrequently": (13.7, 0.02),
    "No, but I plan to soon": (5.3, 0),
    "No, and I don't plan to": (16.2, 0),
}
AGES = {
    25: "18-24 years old",
    35: "25-34 years old",
    45: "35-44 years old",
    55: "45-54 years old",
    65: "55-64 years old",
    200: "65 years or older",
}
COLUMNS = {
    "ResponseId": "row number, no person behind it",
    "ConvertedCompYearly": "salary, USD per year",
    "DevType": "kind of work",
    "LanguageHaveWorkedWith": "languages used, joined by ;",
    "LanguageWantToWorkWith": "languages wanted, joined by ;",
    "YearsCode": "years of coding",
    "Country": "country of residence",
    "EdLevel": "highest education",
    "Employment": "kind of employment",
    "RemoteWork": "where the work is done",
    "OrgSize": "size of the employer",
    "Age": "age band",
    "AISelect": "use of AI tools; made up, the curated survey file has no such column",
}


def draw(rng, table):
    """Draw one answer per row from {answer: (share, effect)}; returns the answers and their effects."""
    shares = np.array([share for share, _ in table.values()])
    picks = rng.choice(len(table), size=ROWS, p=shares / shares.sum())
    return np.array(list(table))[picks], np.array([effect for _, effect in table.values()])[picks]


def draw_languages(rng):
    """Draw which languages each row knows: (rows, languages) of bool, and their summed effect on log salary.

    A normal score per row and language, over the threshold that gives the language's share. The scores share a part
    per row (some know many) and a part per kind (who knows JavaScript knows HTML), a one-factor copula each.
    """
    kinds = {kind: rng.standard_normal(ROWS) for kind in ("web", "systems", "enterprise")}
    breadth = rng.standard_normal(ROWS)
    known, effect = np.zeros((ROWS, len(LANGUAGES)), dtype=bool), np.zeros(ROWS)
    for place, (share, kind, gain) in enumerate(LANGUAGES.values()):
        score = 0.45 * breadth + 0.55 * kinds[kind] + (1 - 0.45**2 - 0.55**2) ** 0.5 * rng.standard_normal(ROWS)
        known[:, place] = score > NormalDist().inv_cdf(1 - share / 100)
        effect += gain * known[:, place]
    return known, effect


def draw_years(rng, typical):
    """Draw years of coding; fewer where pay is low, since those work forces are younger; people like round numbers."""
    years = np.exp(np.log(15.3) + 0.66 * rng.standard_normal(ROWS)) * (typical / 75) ** 0.3
    years = np.clip(np.round(years), 1, None)
    years = np.where(years > 45, 38 + years % 8, years)
    to_five = (rng.random(ROWS) < 0.3) & (years >= 8)
    return np.where(to_five, 5 * np.round(years / 5), years)


def experience_effect(years):
    """Log salary gained by experience: steepest from five to ten years, flatter until 25, then nothing."""
    return np.interp(years, [0, 5, 10, 15, 25], [0, 0.25, 0.75, 1.0, 1.18])


def make_rows(seed=SEED):
    """Return the rows as lists of strings, in the order of COLUMNS."""
    rng = np.random.default_rng(seed)
    country, _ = draw(rng, {name: (share, 0) for name, (share, _, _) in COUNTRIES.items()})
    typical = np.array([COUNTRIES[name][1] for name in country])
    spread = np.array([COUNTRIES[name][2] for name in country])
    years = draw_years(rng, typical)
    known, language_effect = draw_languages(rng)
    role, role_effect = draw(rng, ROLES)
    education, education_effect = draw(rng, EDUCATION)
    employment, employment_effect = draw(rng, EMPLOYMENT)
    remote, remote_effect = draw(rng, REMOTE)
    size, size_effect = draw(rng, EMPLOYER_SIZE)
    ai, ai_effect = draw_ai(rng, years)

    explained = experience_effect(years) + language_effect + role_effect + education_effect + employment_effect
    explained += remote_effect + size_effect + ai_effect
    for name in COUNTRIES:  # a country's typical salary already contains how experienced its people are
        explained[country == name] -= explained[country == name].mean()
    salary = draw_salaries(rng, np.log(1000 * typical) + explained, spread)
    salary = np.where(rng.random(ROWS) < 0.5, 500 * np.round(salary / 500), np.round(salary))
    salary = spoil(rng, salary)

    wanted = np.where(known, rng.random(known.shape) < 0.45, rng.random(known.shape) < 0.03)
    wanted &= (rng.random(ROWS) > 0.18)[:, None]
    age = 17 + years + np.abs(rng.normal(0, 6, ROWS)) - 2
    bands = np.array(list(AGES.values()))[np.searchsorted(list(AGES), age, side="right")]
    missing_years, missing_ai = rng.random(ROWS) < 0.0035, rng.random(ROWS) < 0.03
    names = np.array(list(LANGUAGES))
    return [
        [
            str(FIRST_ID + row),
            f"{salary[row]:.1f}",
            role[row],
            ";".join(names[known[row]]),
            ";".join(names[wanted[row]]),
            "" if missing_years[row] else f"{years[row]:.1f}",
            country[row],
            education[row],
            employment[row],
            remote[row],
            size[row],
            bands[row],
            "" if missing_ai[row] else ai[row],
        ]
        for row in range(ROWS)
    ]


def draw_ai(rng, years):
    """Draw AI use, a little more of it among those who code for fewer years; the shares stay those of AI_USE."""
    lean = (np.argsort(np.argsort(years + rng.random(ROWS))) + 0.5) / ROWS  # rank in (0, 1)
    score = 0.25 * np.array([NormalDist().inv_cdf(rank) for rank in lean]) + (1 - 0.25**2) ** 0.5 * rng.standard_normal(
        ROWS
    )
    edges = np.cumsum([share for share, _ in AI_USE.values()])[:-1] / 100
    picks = np.searchsorted([NormalDist().inv_cdf(edge) for edge in edges], score)
    return np.array(list(AI_USE))[picks], np.array([effect for _, effect in AI_USE.values()])[picks]


def draw_salaries(rng, center, spread):
    """Draw USD per year around ``center`` (log USD); drawn again while outside 5,000 … 800,000 as the survey's are."""
    salary = np.zeros(ROWS)
    while len(again := np.flatnonzero((salary < 5_000) | (salary > 800_000))):
        # Student's t with five degrees of freedom, stretched downwards: far-off salaries are mostly far too low.
        # The 0.1 undoes what the stretching takes from the mean.
        noise = rng.standard_t(5, len(again)) / (5 / 3) ** 0.5
        salary[again] = np.exp(center[again] + spread[again] * (np.where(noise < 0, 1.1, 0.75) * noise + 0.1))
    return salary


def spoil(rng, salary):
    """Plant mistakes for the cleaning step: 0.3 % gave a month's pay, 0.6 % typed one digit too many."""
    luck = rng.random(ROWS)
    salary = np.where(luck < 0.003, np.round(salary / 12), salary)
    return np.where((luck > 0.994) & (salary * 10 < 1_000_000), salary * 10, salary)


def csv_bytes(rows):
    """Return the rows as UTF-8 CSV with a header; lines end in \\n on every system."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([list(COLUMNS), *rows])
    return text.getvalue().encode()


def main():
    content = csv_bytes(make_rows())
    (HERE / "salaries.csv").write_bytes(content)
    manifest = HERE / "manifest.json"
    stated = json.loads(manifest.read_bytes()) if manifest.exists() else {"files": {}}
    stated["files"]["salaries.csv"] = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "rows": ROWS,
        "license": "CC0-1.0",
        "made_by": f"python data/make_salaries.py (seed {SEED}); synthetic, no person's answers",
        "columns": COLUMNS,
    }
    manifest.write_bytes((json.dumps(stated, indent=2, ensure_ascii=False) + "\n").encode())
    print(f"salaries.csv: {ROWS:,} rows, {len(content):,} bytes")


if __name__ == "__main__":
    main()
