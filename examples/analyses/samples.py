"""The sample data, in the units that the plots show."""

import csv
import gzip
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.cbook import get_sample_data

Array = npt.NDArray[np.float64]
Dates = npt.NDArray[np.datetime64]

NAMES = {
    "IBM": "IBM", "AAPL": "Apple", "MSFT": "Microsoft", "XRX": "Xerox", "AMZN": "Amazon", "DELL": "Dell",
    "GOOGL": "Alphabet", "ADBE": "Adobe", "^GSPC": "S&P 500", "^IXIC": "Nasdaq",
}  # fmt: skip
MEMBRANE_RATE = 2000.0  # Hz
EEG_RATE = 80.0  # Hz
EEG_CHANNELS = ("PG3", "PG5", "PG7", "PG9")
METRES_PER_DEGREE = 111_200.0


@dataclass(frozen=True)
class Prices:
    """Adjusted prices: a row a month, a column a name, NaN before the listing."""

    dates: Dates
    names: tuple[str, ...]
    values: Array

    def of(self, name: str) -> Array:
        return self.values[:, self.names.index(name)]


@dataclass(frozen=True)
class Days:
    """Daily quotes of one share."""

    dates: Dates
    close: Array
    high: Array
    low: Array
    volume: Array


@dataclass(frozen=True)
class Grid:
    """Elevations in metres, the first row in the north, and the cell size in metres."""

    place: str
    heights: Array
    dx: float
    dy: float

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top in kilometres from the south-west corner."""
        rows, columns = self.heights.shape
        return 0.0, columns * self.dx / 1000, 0.0, rows * self.dy / 1000


def sample_path(name: str) -> Path:
    return Path(str(get_sample_data(name, asfileobj=False)))


@cache
def monthly_prices() -> Prices:
    with sample_path("Stocks.csv").open(newline="") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    # Rows within a month mark dividends and the last trading day; they carry no new price.
    months = [row for row in rows if row["Date"].endswith("-01") and row["IBM"]]
    values = [[float(row[symbol] or "nan") for symbol in NAMES] for row in months]
    dates = np.array([row["Date"] for row in months], dtype="datetime64[D]")
    return Prices(dates, tuple(NAMES.values()), np.array(values))


@cache
def google_days() -> Days:
    quotes = np.load(sample_path("goog.npz"))["price_data"]
    return Days(quotes["date"], quotes["adj_close"], quotes["high"], quotes["low"], quotes["volume"].astype(float))


@cache
def jacksboro() -> Grid:
    """The Jacksboro fault, Tennessee."""
    dem = np.load(sample_path("jacksboro_fault_dem.npz"))
    dy = float(dem["dy"]) * METRES_PER_DEGREE
    dx = float(dem["dx"]) * METRES_PER_DEGREE * np.cos(np.radians(float(dem["ymin"])))
    return Grid("Jacksboro fault, Tennessee", dem["elevation"].astype(float), float(dx), dy)


@cache
def vancouver() -> Grid:
    """Vancouver Island, the mainland coast and the sea floor between them."""
    sample = np.load(sample_path("topobathy.npz"))
    latitude, longitude = sample["latitude"].astype(float), sample["longitude"].astype(float)
    dy = float(np.diff(latitude).mean()) * METRES_PER_DEGREE
    dx = float(np.diff(longitude).mean() * np.cos(np.radians(latitude.mean()))) * METRES_PER_DEGREE
    return Grid("Vancouver Island, British Columbia", sample["topo"][::-1].astype(float), dx, dy)


@cache
def eeg() -> Array:
    """A row a sample, a column a channel."""
    return np.fromfile(sample_path("eeg.dat")).reshape(-1, len(EEG_CHANNELS))


@cache
def membrane() -> Array:
    """Membrane potential in millivolts."""
    return 100.0 * np.fromfile(sample_path("membrane.dat"), dtype=np.float32).astype(float)


@cache
def head_slice() -> Array:
    """Intensities of one sagittal magnetic resonance slice."""
    raw = gzip.decompress(sample_path("s1045.ima.gz").read_bytes())
    return np.frombuffer(raw, dtype=">u2").reshape(256, 256).astype(float)
