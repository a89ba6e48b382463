"""The one place that decides how much of anything a client may have.

Each budget is a row of :mod:`gateway.budget.table`: what it counts, by which scopes (a connection,
a user, a room, an address, all), how much, the error beyond it, and why that much.
:class:`~gateway.budget.budgets.Budgets`, of which the foundation holds one, makes of a row what
enforces it, counts refusals for the metrics, and gives each error its budget's name for the
dashboard.

A new budget is three lines, besides its key in ``gateway/config.py`` and ``conf/gateway.toml``::

    DIALS: Final = Budget("dials", "…", Form.RATE, (Limit(Scope.USER, …),), reason="…")  # a row
    dials = budgets.rate(table.DIALS)  # once, where the enforcing part is made
    dials.take(user)  # raises the row's error; or wait for dials.reserve(user, within=15.0)

and for something that stands::

    with budgets.cap(table.READS).take(user, rank=rank): ...  # or keep the lease, and give it back

The keys are given in the order of the row's scopes, without one for "in all". None means that a
scope does not count, e.g. the address of a trusted proxy. ``rank`` says who comes first where the
row says so: a part of what is short is kept for hosts and admins.
"""
