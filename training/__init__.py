"""Training of CenterTrack networks: data, targets, losses, loop, export; imports the runtime."""
