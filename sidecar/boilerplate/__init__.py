"""What editors put around their users' words: a catalogue of it, and what may be left out where it says nothing new."""
