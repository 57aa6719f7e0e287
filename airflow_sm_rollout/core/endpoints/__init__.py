"""Traffic by endpoints: blue and green are two endpoints, and a live pointer says which one clients call.

The user's ``endpoint_name`` is then a logical name. The pointer is an SSM parameter beside the rollout's record; where there is none, the
logical name is the endpoint's own, so that a client can be changed before the first rollout of this kind. What to know before reading the
rules:

* The switch, and the way back, are one PutParameter each. It is atomic but compares nothing, so every pointer that a rollout writes says
  which version it was meant to become: SSM's own count shows whether somebody else wrote in between.
* Clients hold a name for some seconds and a request for up to a minute. So an endpoint that the pointer has left is kept for the plan's
  ``drain`` before it is deleted.
* A rollback moves the pointer before it reads anything else. Blue's endpoint is not asked first: it has served until now.
"""
