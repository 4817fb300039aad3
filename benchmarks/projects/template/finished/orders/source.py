"""The shop's orders, a batch a month."""

from penumbra.sources import TableFiles

SOURCE = TableFiles("tables/orders.csv", time="order date", period="month")
