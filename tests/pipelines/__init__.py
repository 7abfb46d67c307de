"""Pipelines that no demo has: a Glue asset behind a Lambda one, a diamond (`asl --package tests.pipelines`)."""
