"""The vocabulary that questions and checks point to: our checklist, and the public frameworks it draws on.

Names and ids of the frameworks as of November 2026: OWASP Machine Learning Security Top 10 (2023 draft), MITRE ATLAS
2026.09 (14 September 2026; AML.T0020 has its present name since 2026.07), NIST AI RMF 1.0 (January 2023).
"""

# H.6 turns each of these into code. The ids never change once published: reports and grades refer to them.
CHECKLIST = {
    "supply-vulnerabilities": "no known vulnerabilities outside a reasoned baseline",
    "supply-pins": "every dependency has an exact pin",
    "supply-torch-load": "no unsafe torch.load",
    "supply-model-hash": "downloaded models are verified by hash before they are loaded",
    "credentials-source": "no credentials in source or notebooks",
    "credentials-output-filter": "notebook outputs are filtered before a commit",
    "credentials-scan-hook": "a secret scanner runs before each commit",
    "credentials-environment": "secrets come from the environment",
    "serving-api-key": "the endpoint asks for an API key",
    "serving-rate-limit": "requests are rate limited",
    "serving-bounded-fields": "every input field is bounded",
    "serving-generic-errors": "errors reveal nothing internal",
    "serving-headers": "security headers on every response",
    "serving-docs-off": "interactive documentation is off in production",
    "tracking-not-public": "the tracking server is not public",
    "tracking-auth": "the tracking server asks for a login",
    "tracking-uri": "no credentials in tracking addresses",
    "monitoring-volume": "an alert on volume per client",
    "monitoring-timing": "an alert on request timing",
    "monitoring-inputs": "the distribution of inputs is watched",
    "monitoring-audit-trail": "an append-only audit trail",
    "redteam-evasion": "an evasion test at each model update",
    "redteam-llm": "an LLM red-team where there is an LLM",
    "redteam-model-card": "the findings are in the model card",
}

OWASP_ML = {
    "ML01:2023": "Input Manipulation Attack",
    "ML02:2023": "Data Poisoning Attack",
    "ML03:2023": "Model Inversion Attack",
    "ML04:2023": "Membership Inference Attack",
    "ML05:2023": "Model Theft",
    "ML06:2023": "AI Supply Chain Attacks",
    "ML07:2023": "Transfer Learning Attack",
    "ML08:2023": "Model Skewing",
    "ML09:2023": "Output Integrity Attack",
    "ML10:2023": "Model Poisoning",
}

# The techniques that this course trains against, not the whole matrix.
ATLAS = {
    "AML.T0010": "AI Supply Chain Compromise",
    "AML.T0011": "User Execution",
    "AML.T0020": "Training Data Poisoning",
    "AML.T0024": "Exfiltration via AI Inference API",
    "AML.T0040": "AI Model Inference API Access",
}

NIST_AI_RMF = {"GOVERN": "Govern", "MAP": "Map", "MEASURE": "Measure", "MANAGE": "Manage"}

CONTROLS = CHECKLIST | OWASP_ML | ATLAS | NIST_AI_RMF
