"""Baskets to basket totals on Lambda, and those to totals of customers on Glue."""
