"""The platform's services over gRPC: servers for any binding, and clients that are one.

Rule 1. A client implements the protocols of plait.ports.platform; whoever calls cannot tell
        it from the binding inside the process.
Rule 2. An error crosses whole: code, message, details and advice.
Rule 3. A call that could do something twice is never sent twice.
Rule 4. No service listens on a network where nobody has to prove who they are.

Not here: what the services do (plait.operations, plait.agent), which of them run in a
process (plait.assembly.roles). docs/guides/services.md has the picture.
"""
