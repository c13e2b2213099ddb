#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A market feed into bars: reads what example_market publishes, and makes of all orders that are
added the bars of each symbol, with NumPy.

    example_market feed
    python3 bars.py feed   # in another shell
"""

import sys

import numpy as np

import zbq

ADD = np.dtype(
    [
        ("type", "S1"),
        ("order", ">u8"),
        ("side", "S1"),
        ("shares", ">u4"),
        ("symbol", ">u2"),
        ("price", ">u4"),
    ]
)
SYMBOLS = 64


class Bars:
    """Open, high, low, close and volume of each symbol, over all that was seen."""

    def __init__(self) -> None:
        self.open = np.zeros(SYMBOLS, "u4")
        self.high = np.zeros(SYMBOLS, "u4")
        self.low = np.full(SYMBOLS, np.iinfo("u4").max, "u4")
        self.close = np.zeros(SYMBOLS, "u4")
        self.volume = np.zeros(SYMBOLS, "u8")

    def add(self, orders: "np.ndarray") -> None:
        symbols = orders["symbol"]
        prices = orders["price"].astype("u4")
        first, at_first = np.unique(symbols, return_index=True)
        fresh = self.open[first] == 0
        self.open[first[fresh]] = prices[at_first[fresh]]
        np.maximum.at(self.high, symbols, prices)
        np.minimum.at(self.low, symbols, prices)
        np.add.at(self.volume, symbols, orders["shares"].astype("u8"))
        last, at_last = np.unique(symbols[::-1], return_index=True)
        self.close[last] = prices[::-1][at_last]

    def are_right(self) -> bool:
        inside = [(self.low <= x) & (x <= self.high) for x in (self.open, self.close)]
        return bool(all(one.all() for one in inside) and self.volume.all())


def main() -> int:
    bars = Bars()
    messages = added = 0
    with zbq.connect(sys.argv[1], timeout=600) as reader:
        for batch in reader.batches():
            copies = batch.copies()  # one call, and all of them were whole
            messages += len(copies)
            orders = [one for one in copies if one[:1] == b"A"]
            added += len(orders)
            bars.add(np.frombuffer(b"".join(orders), ADD))
    print(f"{messages:,} messages, {added:,} orders")
    print("symbol     open     high      low    close   volume")
    for symbol in range(3):
        prices = (bars.open, bars.high, bars.low, bars.close)
        cells = " ".join(f"{one[symbol] / 10000:8.2f}" for one in prices)
        print(f"{symbol:6} {cells} {bars.volume[symbol]:8,}")
    return 0 if messages == 500_000 and bars.are_right() else 1


if __name__ == "__main__":
    sys.exit(main())
