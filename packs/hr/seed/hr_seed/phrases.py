"""The words of goals and feedback, all combinations laid out as arrays so that whole columns are looked up at once."""

from itertools import product

import numpy as np

from .columns import Texts, texts

FEEDBACK_KINDS = ("praise", "thanks", "constructive")
_SITUATIONS = (
    "the quarterly planning",
    "the customer workshop",
    "the release last month",
    "the budget round",
    "the onboarding of new colleagues",
    "the migration project",
    "the weekly team meeting",
    "the supplier talks",
    "the incident on Friday",
    "the presentation to the board",
    "the handover before the holidays",
    "the audit",
    "the price review",
    "the new tool roll-out",
    "the survey follow-up",
)
_TEMPLATES = {
    "praise": (
        "Excellent work in {}: well prepared, calm and clear.",
        "You took the lead in {} and kept everybody informed.",
        "Your eye for detail made the difference in {}.",
        "In {} you turned a difficult discussion into a decision.",
        "I was impressed by how quickly you found your way into {}.",
        "Reliable as ever in {}; I always know where things stand.",
    ),
    "thanks": (
        "Thank you for stepping in during {}.",
        "Thanks for your patience in {}, it helped a lot.",
        "Many thanks for the extra hours around {}.",
        "Thank you for sharing what you learned in {}.",
        "Thanks for speaking up in {} when nobody else did.",
        "Thank you for making {} easier for the rest of us.",
    ),
    "constructive": (
        "In {} it would have helped to hear about the delay earlier.",
        "Next time, please bring the figures for {} a day before.",
        "In {} others hardly got a word in; leave them more room.",
        "Your part of {} was good, the documentation is still missing.",
        "Try to hand over more of the routine work around {}.",
        "In {} the priorities were not clear to the team; write them down.",
    ),
}
TEXTS_A_KIND = len(_SITUATIONS) * len(_TEMPLATES["praise"])
FEEDBACK_TEXTS: Texts = np.stack(
    [texts([line.format(what) for line, what in product(_TEMPLATES[kind], _SITUATIONS)]) for kind in FEEDBACK_KINDS]
)
"""[kind, text]"""

_GOALS_BY_DEPARTMENT = (
    (
        "Cut build time by a third",
        "Retire the legacy importer",
        "Raise test coverage of billing",
        "Halve open defects",
        "Move service to the new cluster",
        "Document the public interface",
        "Shorten code review time",
        "Mentor a new colleague",
    ),
    (
        "Win ten new accounts",
        "Grow pipeline by 20 %",
        "Renew the top five contracts",
        "Shorten the sales cycle",
        "Enter one new region",
        "Keep forecasts within 5 %",
        "Refresh the pitch deck",
        "Complete negotiation training",
    ),
    (
        "Raise renewal rate to 93 %",
        "Run quarterly reviews with key customers",
        "Reduce time to first value",
        "Build a health score",
        "Collect ten references",
        "Cut escalations by a quarter",
        "Write the onboarding guide",
        "Train two colleagues",
    ),
    (
        "Launch the spring campaign",
        "Double newsletter readers",
        "Refresh the brand guide",
        "Lower cost per lead",
        "Host four webinars",
        "Publish six case studies",
        "Measure campaign returns",
        "Translate the website",
    ),
    (
        "Close the month in four days",
        "Automate reconciliations",
        "Prepare the audit without findings",
        "Renegotiate bank fees",
        "Improve the cash forecast",
        "Clean up cost centres",
        "Document controls",
        "Train budget owners",
    ),
    (
        "Fill open positions within 45 days",
        "Renew the onboarding programme",
        "Run the engagement survey",
        "Digitise personnel files",
        "Lower early attrition",
        "Train all team leads",
        "Review the job architecture",
        "Update the handbook",
    ),
    (
        "Reduce waste by 10 %",
        "Introduce daily stand-ups",
        "Certify the second site",
        "Lower downtime",
        "Map core processes",
        "Cut overtime by a fifth",
        "Audit suppliers",
        "Improve safety record",
    ),
    (
        "Standardise customer contracts",
        "Answer requests within two days",
        "Review data protection agreements",
        "Train sales on contracts",
        "Settle open disputes",
        "Set up a clause library",
        "Update policies",
        "Prepare licence audit",
    ),
    (
        "Replace old laptops",
        "Introduce single sign-on",
        "Raise first-contact solution to 70 %",
        "Test disaster recovery",
        "Patch within seven days",
        "Consolidate licences",
        "Document networks",
        "Cut cloud cost by 15 %",
    ),
    (
        "Ship the reporting module",
        "Interview twenty customers",
        "Raise adoption of new features",
        "Sharpen the roadmap",
        "Define product metrics",
        "Run three experiments",
        "Simplify the sign-up",
        "Write launch briefs",
    ),
    (
        "Answer within four hours",
        "Raise satisfaction to 4.5",
        "Write thirty help articles",
        "Lower the backlog by half",
        "Learn the second product",
        "Reduce repeat contacts",
        "Coach new agents",
        "Improve shift handover",
    ),
    (
        "Deliver 98 % on time",
        "Lower freight cost by 8 %",
        "Reorganise the warehouse",
        "Cut returns handling time",
        "Introduce scanning",
        "Zero accidents",
        "Reduce stock by 12 %",
        "Qualify a second carrier",
    ),
)
GOAL_TITLES: Texts = np.array(_GOALS_BY_DEPARTMENT, dtype=object)
"""[department, goal]"""
