"""Tests of the broker over Redis, on a real Redis."""
