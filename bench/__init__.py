"""The benchmark: the whole step of `orders_etl`, side by side with what one would otherwise use."""
