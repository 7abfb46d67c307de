SELECT upper(trim(parcel)) AS parcel_id, grams / 1000.0D AS weight_kg, dt
FROM landed
