"""Who reports to whom: one tree with the chief at the root, and its closure. Decides nothing else about people."""

from collections.abc import Iterator

import numpy as np

from .columns import Bools, Chunk, Columns, Ints, Texts, gather
from .draws import stream
from .places import DEPARTMENTS, ENGINEERING, PEOPLE, SALES

CORE = 29
"""E00001 … E00029 have fixed places in every company, so that the personas hold for any size and day."""
CHIEF = 0
HEADS = np.arange(1, 13)
"""One a department, in the order of the departments."""
CORE_MANAGER, CORE_LEAD, CORE_LEAVER = 13, 14, 28
"""E00014 leads E00015 … E00022; E00015 leads E00023 … E00027; E00029 has left."""
_HR_PARTNER = 27


def core_manager_of() -> Ints:
    """The manager of each of the core people; -1 for the chief."""
    manager = np.full(CORE, -1, dtype=np.int64)
    manager[HEADS] = CHIEF
    manager[CORE_MANAGER] = HEADS[ENGINEERING]
    manager[CORE_LEAD : CORE_LEAD + 8] = CORE_MANAGER
    manager[22:27] = CORE_LEAD
    manager[_HR_PARTNER] = HEADS[PEOPLE]
    manager[CORE_LEAVER] = HEADS[SALES]
    return manager


def core_department_of() -> Ints:
    """The department of each of the core people; the chief sits with Operations."""
    department = np.full(CORE, ENGINEERING, dtype=np.int64)
    department[CHIEF] = 6
    department[HEADS] = np.arange(len(DEPARTMENTS))
    department[_HR_PARTNER] = PEOPLE
    department[CORE_LEAVER] = SALES
    return department


def grow_tree(seed: int, department: Ints, active: Bools) -> Ints:
    """The manager of everybody, -1 for the chief.

    Managers are active people: whoever reported to somebody who left reports to somebody else by now. A leaver keeps
    the manager of a close colleague. Every manager's index is smaller than those of the reports.
    """
    manager = np.full(len(department), -1, dtype=np.int64)
    manager[:CORE] = core_manager_of()
    for code in range(len(DEPARTMENTS)):
        outside_core = np.flatnonzero((department == code) & (np.arange(len(department)) >= CORE))
        members = outside_core[active[outside_core]]
        queue = np.concatenate([HEADS[code : code + 1], members])
        manager[members] = queue[_places(seed, code, len(members))]
        leavers = outside_core[~active[outside_core]]
        nearest = np.searchsorted(members, leavers) - 1
        manager[leavers] = np.where(nearest >= 0, manager[members[nearest]] if len(members) else 0, HEADS[code])
    return manager


def _places(seed: int, department: int, count: int) -> Ints:
    """For each of `count` members in turn, the place in the queue [head, member, member, …] of their manager.

    Filled breadth first. About half of the queue lead 4 to 9 people and at least one of any four do, so that there
    is always a free place further up and no branch grows deep.
    """
    draws = stream(seed, "tree", department)
    size = -(-(count + 1) // 4) * 4
    leads = draws.random(size) < 0.3
    leads[np.arange(0, size, 4) + draws.integers(0, 4, size // 4)] = True
    leads[0] = True
    spans = np.where(leads, draws.integers(4, 10, size), 0)
    spans[0] = 8 if department != ENGINEERING else 7
    filled = np.cumsum(spans)
    place = np.searchsorted(filled, np.arange(count), side="right").astype(np.int64)
    return _without_stub(place)


def _without_stub(place: Ints) -> Ints:
    """Moves the last manager's reports up to the manager before when they are fewer than four."""
    if len(place) and place[-1] > 0:
        last = place == place[-1]
        if last.sum() < 4:
            place[last] = place[~last][-1]
    return place


def has_reports(manager: Ints, active: Bools) -> Bools:
    """Who has active direct reports."""
    found = np.zeros(len(manager), dtype=np.bool_)
    found[manager[active & (manager >= 0)]] = True
    return found


def reporting_lines(manager: Ints, ids: Texts) -> Iterator[Chunk]:
    """The table `reporting_lines`: the tree's closure, one level of distance at a time."""
    yield from gather("reporting_lines", _levels(manager, ids))


def _levels(manager: Ints, ids: Texts) -> Iterator[Columns]:
    below = np.flatnonzero(manager >= 0)
    above = manager[below]
    depth = 1
    while len(below):
        yield {
            "manager_id": ids[above],
            "employee_id": ids[below],
            "depth": np.full(len(below), depth, dtype=np.int64),
        }
        above = manager[above]
        below, above = below[above >= 0], above[above >= 0]
        depth += 1
