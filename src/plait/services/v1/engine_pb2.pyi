from plait.services.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class ExecuteRequest(_message.Message):
    __slots__ = ("workflow", "definition", "input", "mode", "wait_ms", "key", "is_unawaited")
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    WAIT_MS_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    IS_UNAWAITED_FIELD_NUMBER: _ClassVar[int]
    workflow: str
    definition: bytes
    input: bytes
    mode: str
    wait_ms: int
    key: str
    is_unawaited: bool
    def __init__(self, workflow: _Optional[str] = ..., definition: _Optional[bytes] = ..., input: _Optional[bytes] = ..., mode: _Optional[str] = ..., wait_ms: _Optional[int] = ..., key: _Optional[str] = ..., is_unawaited: _Optional[bool] = ...) -> None: ...

class ExecuteReply(_message.Message):
    __slots__ = ("execution_id", "status", "json")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    status: str
    json: bytes
    def __init__(self, execution_id: _Optional[str] = ..., status: _Optional[str] = ..., json: _Optional[bytes] = ...) -> None: ...

class RunPlanRequest(_message.Message):
    __slots__ = ("plan_hash", "workflows", "plans", "execution_id", "input", "trigger", "wants_names")
    class WorkflowsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PLAN_HASH_FIELD_NUMBER: _ClassVar[int]
    WORKFLOWS_FIELD_NUMBER: _ClassVar[int]
    PLANS_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_FIELD_NUMBER: _ClassVar[int]
    WANTS_NAMES_FIELD_NUMBER: _ClassVar[int]
    plan_hash: str
    workflows: _containers.ScalarMap[str, str]
    plans: _containers.RepeatedScalarFieldContainer[bytes]
    execution_id: str
    input: bytes
    trigger: bytes
    wants_names: bool
    def __init__(self, plan_hash: _Optional[str] = ..., workflows: _Optional[_Mapping[str, str]] = ..., plans: _Optional[_Iterable[bytes]] = ..., execution_id: _Optional[str] = ..., input: _Optional[bytes] = ..., trigger: _Optional[bytes] = ..., wants_names: _Optional[bool] = ...) -> None: ...

class RunReply(_message.Message):
    __slots__ = ("execution_id", "status", "output", "failure", "passed_over", "trace", "names")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    PASSED_OVER_FIELD_NUMBER: _ClassVar[int]
    TRACE_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    status: str
    output: bytes
    failure: bytes
    passed_over: bytes
    trace: bytes
    names: bytes
    def __init__(self, execution_id: _Optional[str] = ..., status: _Optional[str] = ..., output: _Optional[bytes] = ..., failure: _Optional[bytes] = ..., passed_over: _Optional[bytes] = ..., trace: _Optional[bytes] = ..., names: _Optional[bytes] = ...) -> None: ...
