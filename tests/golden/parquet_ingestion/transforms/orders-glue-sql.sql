WITH `step_1` AS (
  SELECT
    `customer_id`,
    `order_id`,
    `amount`,
    `dt`,
    `region`,
    `source_row`,
    `source_uri`
  FROM `landed_orders`
)
SELECT
  `source_uri` AS `source_uri`,
  `source_row` AS `source_row`,
  TRIM(' ' FROM `customer_id`) AS `customer_id`,
  TRIM(' ' FROM `order_id`) AS `order_id`,
  `amount` AS `amount`,
  `amount` >= 1000.0 AS `is_large`,
  `dt` AS `dt`,
  `region` AS `region`
FROM `step_1`
