"""When each claim of the paper holds (SPEC section 5), fixed before any result was looked at.

Every function takes numbers, one per seed, and returns a row of the ledger. Its docstring says
what the effect is and why the threshold is what it is. Thresholds are smallest effects of interest:
an effect of nothing, if measured precisely enough, makes a claim fail.
"""
