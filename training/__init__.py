"""Fine-tuning and evaluation of AST genre models; uses `tagger`, never the reverse."""
