import pytest

pytest.register_assert_rewrite("tests.helpers.servers.shadowed_server")
