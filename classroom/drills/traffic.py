"""Clients of the salary service for lesson H5: honest kinds, and attackers from careless to perfect.

All of it is made up, and was written down before a detector was tuned. A client is a number of rows: ``client``,
``time`` in seconds and the fields of a query. Every kind draws its own number of queries: where all attackers ask
equally often, a detector learns the number.
"""

import itertools

import numpy as np
import pandas as pd

DAY, OFFICE = 86_400.0, (8 * 3600.0, 18 * 3600.0)
YEARS = 45


def halves():
    """Return two tables of queries: people whom no model was trained on, and the rows that trained it, published.

    Countries that the service does not list are "Other", as the model has them.
    """
    from mlsecops.salary.dataset import clean, features, load_salaries
    from mlsecops.salary.model import MIN_ROWS, OTHER, split_rows

    table = features(clean(load_salaries("sample")))
    counts = table["country"].value_counts()
    table["country"] = table["country"].where(table["country"].map(counts) >= MIN_ROWS, OTHER)
    held, rest = split_rows(len(table), 0)
    return table.iloc[held].reset_index(drop=True), table.iloc[rest].reset_index(drop=True)


class Traffic:
    """Makes clients of each kind.

    Args:
        people: what honest clients ask about: rows of the service's fields, none of which trained the model.
        public: what a thief may have: rows of the same survey, published.
        countries: what the service lists.
        rng: a numpy Generator.
    """

    HONEST = ("user", "what_if", "sweeper", "nat", "batch")
    ATTACKERS = (
        "fast_grid",
        "slow_grid",
        "uniform",
        "latin_hypercube",
        "uniform_20",
        "uniform_few",
        "line_search",
        "jbda",
        "active",
        "mimic",
    )
    SHARES = (0.85, 0.06, 0.03, 0.03, 0.03)
    UNSEEN = ("monitor", "load_test", "typing", "one_market")

    def __init__(self, people, public, countries, rng):
        self.people, self.public = people.reset_index(drop=True), public.reset_index(drop=True)
        self.countries, self.rng = list(countries), rng
        self.flags = [name for name in people if people[name].dtype == bool]
        self.fields = list(people)

    def honest(self, count):
        """A mixed population: ``count`` clients of the honest kinds in their usual shares. Adds the column ``kind``."""
        sizes = np.diff(np.round(np.cumsum([0, *self.SHARES]) * count).astype(int))
        return self.mixed({kind: size for kind, size in zip(self.HONEST, sizes, strict=True) if size})

    def mixed(self, counts):
        """Clients by kind, ``{"user": 100, …}``, in one table with the column ``kind``; no two have the same name."""
        tables = []
        for kind, count in counts.items():
            table = self.make(kind, count)
            tables.append(table.assign(client=kind + "-" + table["client"].astype(str), kind=kind))
        names = pd.concat(tables, ignore_index=True)
        shuffled = pd.Series(self.rng.permutation(names["client"].unique()))
        return names.assign(client=names["client"].map(pd.Series(shuffled.index, index=shuffled.values)))

    def make(self, kind, count):
        """``count`` clients of one kind, numbered from 0."""
        return getattr(self, f"_{kind}")(count)

    def matched(self, made):
        """A control: the clients of ``made`` with their names, numbers and times, but they ask about real people."""
        rows = self._draw(self.people, len(made))
        return made.assign(**{name: rows[name].to_numpy() for name in self.fields})

    # What all kinds are made of -------------------------------------------------------------------------------------

    def _rows(self, table, lengths, gaps, start=None):
        """Name and time the rows of ``table``: ``lengths`` queries per client, ``gaps`` seconds before each."""
        client = np.repeat(np.arange(len(lengths)), lengths)
        begin = self.rng.uniform(*OFFICE, len(lengths)) if start is None else start
        passed = np.cumsum(gaps)
        first = np.r_[0, np.cumsum(lengths)[:-1]]
        time = begin[client] + passed - passed[first][client]
        return table[self.fields].reset_index(drop=True).assign(client=client, time=time)

    def _draw(self, source, count):
        return source.iloc[self.rng.integers(len(source), size=count)].reset_index(drop=True)

    def _invent(self, count):
        """People that do not exist: every value of every field equally often."""
        rng = self.rng
        table = pd.DataFrame({name: rng.random(count) < 0.5 for name in self.flags})
        years = rng.integers(0, YEARS + 1, count).astype(float)
        return table.assign(years_exp=years, country=rng.choice(self.countries, count))[self.fields]

    def _user_lengths(self, count):
        """Median 16 queries, few above 60."""
        return np.clip(np.round(self.rng.lognormal(np.log(16), 0.6, count)), 3, 150).astype(int)

    def _long_lengths(self, count):
        """Of an attacker who is not in a hurry to hide: 60 to 500."""
        return np.round(np.exp(self.rng.uniform(np.log(60), np.log(500), count))).astype(int)

    # Honest kinds ---------------------------------------------------------------------------------------------------

    def _user(self, count):
        """Somebody at a desk, a few minutes between queries."""
        lengths = self._user_lengths(count)
        total = lengths.sum()
        return self._rows(self._draw(self.people, total), lengths, self.rng.exponential(300, total))

    def _what_if(self, count):
        """Takes a few people and varies one field of each a few times; one in five of them, several fields."""
        bases = self.rng.integers(2, 9, count)
        tries = self.rng.integers(2, 8, bases.sum())
        lengths = np.add.reduceat(tries + 1, np.r_[0, np.cumsum(bases)[:-1]])
        table = self._varied(self._draw(self.people, bases.sum()), tries)
        return self._rows(table, lengths, self.rng.exponential(25, len(table)))

    def _varied(self, bases, tries):
        """Each base, followed by ``tries`` copies that differ in one field, for four bases in five always the same."""
        rng = self.rng
        table = bases.loc[np.repeat(bases.index, tries + 1)]
        is_base = np.r_[True, table.index[1:] != table.index[:-1]]
        field = rng.choice(self.fields, len(bases))[table.index]
        mixed = (rng.random(len(bases)) < 0.2)[table.index]
        field = np.where(mixed, rng.choice(self.fields, len(table)), field)
        table = table.reset_index(drop=True)
        new = self._invent(len(table))
        for name in self.fields:
            chosen = ~is_base & (field == name)
            table.loc[chosen, name] = ~table.loc[chosen, name] if name in self.flags else new.loc[chosen, name]
        return table

    def _sweeper(self, count):
        """Asks for one person at every number of years from 1 to 40, and perhaps for a second person."""
        bases = self.rng.integers(1, 3, count)
        table = self._draw(self.people, bases.sum())
        table = table.loc[np.repeat(table.index, 40)].assign(years_exp=np.tile(np.arange(1.0, 41), bases.sum()))
        return self._rows(table, bases * 40, self.rng.exponential(20, len(table)))

    def _nat(self, count):
        """Many people behind one address."""
        lengths = self.rng.integers(80, 400, count)
        total = lengths.sum()
        return self._rows(self._draw(self.people, total), lengths, self.rng.exponential(80, total))

    def _batch(self, count):
        """A nightly job that asks for real people, one every few seconds."""
        lengths = self.rng.integers(100, 500, count)
        total, start = lengths.sum(), self.rng.uniform(0, 5 * 3600.0, count)
        return self._rows(self._draw(self.people, total), lengths, self.rng.uniform(1.8, 2.2, total), start)

    # Honest kinds that no calibration has seen ----------------------------------------------------------------------

    def _monitor(self, count):
        """Asks for the same person every minute, to see whether the service is there."""
        lengths = self.rng.integers(200, 800, count)
        table = self._draw(self.people, count)
        return self._rows(table.loc[np.repeat(table.index, lengths)], lengths, np.full(lengths.sum(), 60.0))

    def _load_test(self, count):
        """An agreed load test: invented people, many a second."""
        lengths = self.rng.integers(300, 900, count)
        return self._rows(self._invent(lengths.sum()), lengths, self.rng.exponential(0.2, lengths.sum()))

    def _typing(self, count):
        """A form that asks at every keystroke: each person in several unfinished states."""
        lengths = self._user_lengths(count)
        final = self._draw(self.people, lengths.sum())
        table = final.loc[np.repeat(final.index, 4)].reset_index(drop=True)
        state = np.tile(np.arange(4), len(final))
        table.loc[state == 0, "years_exp"] = np.floor(table.loc[state == 0, "years_exp"] / 10)
        for done, name in enumerate(self.flags[:2], 1):
            table.loc[state < done, name] = False
        return self._rows(table, lengths * 4, self.rng.exponential(2, len(table)))

    def _one_market(self, count):
        """A customer who has people in one country only."""
        lengths = self.rng.integers(30, 200, count)
        table = self._draw(self.people, lengths.sum())
        home = self.people["country"].to_numpy()[self.rng.integers(len(self.people), size=count)]
        return self._rows(
            table.assign(country=np.repeat(home, lengths)), lengths, self.rng.exponential(200, len(table))
        )

    # Attackers ------------------------------------------------------------------------------------------------------

    def _grid(self, count, gap):
        lengths = self._long_lengths(count)
        tables = []
        for length in lengths:
            countries = self.rng.choice(self.countries, min(len(self.countries), 6), replace=False)
            years = np.arange(0, YEARS + 1, 5.0)
            points = list(itertools.product(countries, years, *[(False, True)] * len(self.flags)))
            chosen = np.sort(self.rng.choice(len(points), min(length, len(points)), replace=False))
            table = pd.DataFrame([points[i] for i in chosen], columns=["country", "years_exp", *self.flags])
            tables.append(table)
        lengths = np.array([len(table) for table in tables])
        return self._rows(pd.concat(tables), lengths, self.rng.exponential(gap, lengths.sum()))

    def _fast_grid(self, count):
        """Walks over a grid of a few countries, every fifth year and all flags, as fast as it goes."""
        return self._grid(count, 0.5)

    def _slow_grid(self, count):
        """The same, a query every few minutes."""
        return self._grid(count, 240)

    def _uniform(self, count, lengths=None):
        """Every value equally often."""
        lengths = self._long_lengths(count) if lengths is None else lengths
        return self._rows(self._invent(lengths.sum()), lengths, self.rng.exponential(200, lengths.sum()))

    def _uniform_20(self, count):
        """The same with 20 queries."""
        return self._uniform(count, np.full(count, 20))

    def _uniform_few(self, count):
        """The same with as many queries as a user."""
        return self._uniform(count, self._user_lengths(count))

    def _latin_hypercube(self, count):
        """Spreads its queries evenly over each field (McKay, Beckman and Conover, Technometrics 1979)."""
        lengths, tables = self._long_lengths(count), []
        for length in lengths:
            even = [(self.rng.permutation(length) + self.rng.random(length)) / length for _ in self.fields]
            table = pd.DataFrame(dict(zip(self.fields, even, strict=True)))
            table["years_exp"] = np.floor(table["years_exp"] * (YEARS + 1))
            table["country"] = np.array(self.countries)[(table["country"] * len(self.countries)).astype(int)]
            tables.append(table.assign(**{name: table[name] < 0.5 for name in self.flags}))
        return self._rows(pd.concat(tables), lengths, self.rng.exponential(200, lengths.sum()))

    def _line_search(self, count):
        """From invented starting points, halves the years and flips each flag (Lowd and Meek, KDD 2005)."""
        bases = self.rng.integers(5, 25, count)
        steps = 4 + len(self.flags)
        base = self._invent(bases.sum())
        table = base.loc[np.repeat(base.index, steps)].reset_index(drop=True)
        step = np.tile(np.arange(steps), len(base))
        for number in range(1, 4):
            table.loc[step == number, "years_exp"] = np.floor(table.loc[step == number, "years_exp"] / 2**number)
        for number, name in enumerate(self.flags):
            table.loc[step == 4 + number, name] = ~table.loc[step == 4 + number, name]
        return self._rows(table, bases * steps, self.rng.exponential(60, len(table)))

    def _jbda(self, count):
        """Starts from public people and steps from each in the direction that changes the answer most.

        Jacobian-based dataset augmentation (Papernot et al., AsiaCCS 2017): seeds first, then all of them moved.
        """
        seeds, rounds = self.rng.integers(10, 30, count), 3
        lengths, tables = seeds * rounds, []
        for number in seeds:
            points = self._draw(self.public, number)
            for _ in range(rounds):
                tables.append(points)
                points = points.copy()
                points["years_exp"] = np.clip(points["years_exp"] + self.rng.choice([-4.0, 4.0], number), 0, YEARS)
                flip = self.rng.choice(self.flags)
                points[flip] = ~points[flip]
        return self._rows(pd.concat(tables), lengths, self.rng.exponential(120, lengths.sum()))

    def _active(self, count):
        """Of invented candidates asks for the one farthest from all it has asked (Settles, 2009: diversity)."""
        lengths = np.round(np.exp(self.rng.uniform(np.log(30), np.log(150), count))).astype(int)
        tables = []
        for length in lengths:
            pool = self._invent(length * 4)
            codes = pool.assign(country=pd.factorize(pool["country"])[0], years_exp=pool["years_exp"] / YEARS)
            points = codes.to_numpy(float)
            place = list(pool).index("country")
            nearest, chosen = np.full(len(pool), np.inf), [0]
            while len(chosen) < length:
                off = np.abs(points - points[chosen[-1]])
                off[:, place] = off[:, place] > 0
                nearest = np.minimum(nearest, off.sum(axis=1) + self.rng.random(len(pool)) * 0.2)
                nearest[chosen] = -1
                chosen.append(int(nearest.argmax()))
            tables.append(pool.iloc[chosen])
        return self._rows(pd.concat(tables), lengths, self.rng.exponential(120, lengths.sum()))

    def _mimic(self, count):
        """Asks for people out of the published survey, as often and as slowly as a user."""
        lengths = self._user_lengths(count)
        return self._rows(self._draw(self.public, lengths.sum()), lengths, self.rng.exponential(300, lengths.sum()))

    # Set aside: never looked at while the detector was made ----------------------------------------------------------

    def _popular(self, count):
        """Asks only about the five commonest countries and people of the middle: what is common, and nothing else."""
        lengths = np.round(np.exp(self.rng.uniform(np.log(30), np.log(200), count))).astype(int)
        common = self.public["country"].value_counts().index[:5]
        ranks = self.public["years_exp"].between(*self.public["years_exp"].quantile([0.25, 0.75]))
        rows = self.public[ranks & self.public["country"].isin(common)]
        return self._rows(self._draw(rows, lengths.sum()), lengths, self.rng.exponential(200, lengths.sum()))

    def _half_mimic(self, count):
        """Hides each invented query behind one about a published person."""
        lengths = np.round(np.exp(self.rng.uniform(np.log(40), np.log(200), count))).astype(int)
        total = lengths.sum()
        behind = self.rng.random(total) < 0.5
        table, public = self._invent(total), self._draw(self.public, total)
        table.loc[behind] = public.loc[behind]
        return self._rows(table, lengths, self.rng.exponential(200, total))


SET_ASIDE = ("popular", "half_mimic")
