"""What people spend money on: categories, limits, occasions, merchants. Makes no claims."""

from dataclasses import dataclass

import numpy as np

CATEGORIES = ("hotel", "meals", "taxi", "flight", "train", "mileage", "office", "phone", "client_entertainment")
LIMITS = np.array([180.0, 45.0, 60.0, 600.0, 300.0, 150.0, 120.0, 50.0, 250.0])
"""Euros a line."""
TYPICAL = np.array([118.0, 22.0, 26.0, 270.0, 95.0, 55.0, 48.0, 29.0, 120.0])
"""Median in euros; the spread below puts a few lines in a hundred above the limit."""
SPREAD = np.array([0.26, 0.40, 0.45, 0.42, 0.55, 0.50, 0.45, 0.28, 0.42])
MERCHANTS = (
    ("Hotel Central", "Parkside Inn", "Grand Station Hotel", "Riverside Suites", "Airport Lodge", "City Rooms"),
    ("Café Linden", "Noodle Bar", "Trattoria Roma", "Corner Deli", "Station Bistro", "Green Bowl", "Curry House"),
    ("City Cabs", "RideNow", "Metro Taxi", "Airport Shuttle"),
    ("EuroWings Line", "Atlantic Air", "Skybridge", "BlueJet", "Continental Connect"),
    ("National Rail", "InterCity Trains", "Fast Track Rail"),
    ("Own car", "Own car", "Own motorcycle"),
    ("Paper & Co", "Office Depot Online", "Desk World", "Cable Shop"),
    ("TeleOne", "MobileNet", "ClearCall"),
    ("Restaurant Belvedere", "The Oak Room", "Theatre Tickets", "Steakhouse 21", "Rooftop Lounge"),
)
MERCHANT_COUNTS = np.array([len(names) for names in MERCHANTS])
MERCHANT_OFFSETS = np.cumsum(MERCHANT_COUNTS) - MERCHANT_COUNTS
ALL_MERCHANTS = tuple(name for names in MERCHANTS for name in names)


@dataclass(frozen=True)
class Occasion:
    """Why a claim is made, and what is on its lines, in order."""

    weight: float
    purposes: tuple[str, str, str]
    lines: tuple[int, int, int, int, int]
    fewest: int
    most: int
    abroad: float
    """How often the money was spent in another currency."""


_HOTEL, _MEALS, _TAXI, _FLIGHT, _TRAIN, _MILEAGE, _OFFICE, _PHONE, _CLIENT = range(9)
OCCASIONS = (
    Occasion(
        0.22, ("Customer visit", "Conference", "Team workshop"), (_FLIGHT, _HOTEL, _TAXI, _MEALS, _MEALS), 2, 5, 0.5
    ),
    Occasion(0.22, ("Site visit", "Supplier meeting", "Training"), (_TRAIN, _HOTEL, _MEALS, _TAXI, _MEALS), 1, 5, 0.1),
    Occasion(
        0.18, ("Client dinner", "Client event", "Contract signing"), (_CLIENT, _TAXI, _MEALS, _TAXI, _MEALS), 1, 3, 0.15
    ),
    Occasion(
        0.12,
        ("Home office equipment", "Office supplies", "Desk accessories"),
        (_OFFICE, _OFFICE, _OFFICE, _OFFICE, _OFFICE),
        1,
        3,
        0.0,
    ),
    Occasion(
        0.12,
        ("Monthly phone bill", "Mobile data", "Internet at home"),
        (_PHONE, _PHONE, _PHONE, _PHONE, _PHONE),
        1,
        1,
        0.0,
    ),
    Occasion(
        0.14,
        ("Drive to customer", "Drive to warehouse", "Drive to airport"),
        (_MILEAGE, _MEALS, _MILEAGE, _MEALS, _MEALS),
        1,
        3,
        0.0,
    ),
)
LINES = np.array([occasion.lines for occasion in OCCASIONS])
ALL_PURPOSES = tuple(purpose for occasion in OCCASIONS for purpose in occasion.purposes)
