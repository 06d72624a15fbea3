"""OAuth 2.1 for assistants: who asks, a person who consents, tokens that end when the person said they would."""
