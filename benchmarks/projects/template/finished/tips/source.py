"""The bills of the restaurant, a batch a month."""

from penumbra.sources import TableFiles

SOURCE = TableFiles("tables/tips.csv", time="row", period="month")
