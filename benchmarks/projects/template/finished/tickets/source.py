"""The tickets as the help desk exports them, a batch a month."""

from penumbra.sources import TableFiles

SOURCE = TableFiles("tables/tickets.csv", time="opened", period="month")
