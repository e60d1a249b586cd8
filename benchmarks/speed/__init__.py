"""Throughput, latency and memory."""
