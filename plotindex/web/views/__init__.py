"""The routes: each module answers the requests of one topic."""
