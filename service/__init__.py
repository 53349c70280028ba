"""Interlinea's service: translations with their attention and word alignments."""
