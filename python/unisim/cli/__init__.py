"""The command line: one file a command. Whatever a command needs beyond the standard library it imports when it runs."""
