"""Traffic by variants: blue and green are two production variants of one endpoint, and weights split the requests.

One module per goal, each with what its decision needs to know and its rules, asked in order; the first that has an answer decides.
What to know before reading them:

* An endpoint that is Updating refuses every other change, a rollback included. So rules that only need to know come first, then the rule
  that waits, then those that change something.
* ``InService`` proves nothing: after an update that AWS rolled back the endpoint is InService too, on its old config. Config names are
  compared, and the endpoint's last change is compared with the creation of the config it should be on: a config is created right before
  the update that uses it, so an endpoint that changed later and is not on it has been put back.
* A rollback moves weights first and tidies later, so that users are safe within one weight change.
"""
