"""What each command does; one module a command.

The only place where library, model, policy, state and files meet. It may use every package but
`cli`. Begin reading in `tag.py`.
"""
