"""From tracks to predictions.

`schedule` decides which chunk of which `pending` track is decoded next, `workload` estimates how
much is left to do, `batches` makes batches across tracks, `predict` scores them and averages the
windows of each track, `ensemble` averages several models. It may use `genres`, `audio` and
`models`. Start reading in `predict.py`.
"""
