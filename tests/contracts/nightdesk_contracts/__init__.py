"""What Nightdesk expects of a plug-in, as tests: one class for each entry-point group.

An author inherits from the class, gives it the part in a fixture, and runs pytest:

    from nightdesk_contracts.formats import FormatContract

    class TestMine(FormatContract):
        @pytest.fixture
        def part(self):
            return Mine()

        @pytest.fixture
        def sample(self):
            return b"..."  # a body of this format

The built-in parts are held to the same classes by Nightdesk's own tests.
"""
