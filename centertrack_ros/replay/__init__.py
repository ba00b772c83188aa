"""Replay of recordings: sources, offline and live runs, metrics and reports."""
