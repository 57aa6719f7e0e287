"""moto's own tests, against the sandbox: ``python -m tests.moto_suite``.

They come from moto's source distribution, which is fetched for the run and not kept here. What fails for a reason is
listed in ``expected_failures.json``, with the reason; any other failure fails the run, and so does a listed test that
passes.
"""
