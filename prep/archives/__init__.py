"""Archives read in place: one pass over each, in which the wanted videos are decoded.

A member counts as the file that it is once its archive is unpacked in the folder where it lies. So
the same rules choose the videos, and the same shards are written, as from files. The way of a
member: `readers` -> `spool` (a file of its own, for a moment) -> `crew` (worker processes) ->
`waiting` (its frames, until its shard is written).
"""
