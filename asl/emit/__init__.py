"""IR and resources -> artefacts: one emitter a file; each is pure, offline and deterministic."""
