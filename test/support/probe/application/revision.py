"""Changed by each commit, so that releases differ in their code."""

REVISION = 1
