"""One endpoint, three calls, one reply: Plait against the same written by hand.

What every peer does per request: check `user_id`, GET the user and the orders at the same
time, GET the offers once the user is there and only if she is VIP, at most 800 ms per
call, failed offers left null, and answer with one JSON object.
"""
