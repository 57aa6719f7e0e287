"""A Lambda function in front of the endpoint: its alias is the live pointer, and AWS keeps the shares.

Clients call the alias and know of no endpoint. Blue and green are two published versions of one function, which differ only in the
variable that names the endpoint. What to know before reading on:

* An alias is read into the same :class:`~airflow_sm_rollout.core.pointer.Pointer` as a live pointer in SSM, so that one set of rules
  drives both (:mod:`.alias`).
* ``UpdateAlias`` compares: it takes the revision that the caller has seen. Nobody's write is ever written over.
* An alias has no time and no author of its own. Both stand in its description, together with the shares they are about. Whoever changes
  the shares alone leaves a description that does not fit them any more.
* A version is published from ``$LATEST``, which belongs to whoever deploys the function. So it must be what the alias calls already,
  and gets back what it had when the rollout is taken back (:mod:`.version`).
"""
