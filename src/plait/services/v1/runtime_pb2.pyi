from plait.services.v1 import common_pb2 as _common_pb2
from plait.services.v1 import engine_pb2 as _engine_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ValidateDefinitionRequest(_message.Message):
    __slots__ = ("definition", "name", "triggers", "description", "expected", "is_kept_only", "triggers_text")
    DEFINITION_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TRIGGERS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    IS_KEPT_ONLY_FIELD_NUMBER: _ClassVar[int]
    TRIGGERS_TEXT_FIELD_NUMBER: _ClassVar[int]
    definition: str
    name: str
    triggers: _containers.RepeatedScalarFieldContainer[bytes]
    description: str
    expected: str
    is_kept_only: bool
    triggers_text: str
    def __init__(self, definition: _Optional[str] = ..., name: _Optional[str] = ..., triggers: _Optional[_Iterable[bytes]] = ..., description: _Optional[str] = ..., expected: _Optional[str] = ..., is_kept_only: _Optional[bool] = ..., triggers_text: _Optional[str] = ...) -> None: ...

class DeployRequest(_message.Message):
    __slots__ = ("name", "definition", "triggers", "description", "expected", "is_kept_only", "triggers_text")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_FIELD_NUMBER: _ClassVar[int]
    TRIGGERS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    IS_KEPT_ONLY_FIELD_NUMBER: _ClassVar[int]
    TRIGGERS_TEXT_FIELD_NUMBER: _ClassVar[int]
    name: str
    definition: str
    triggers: _containers.RepeatedScalarFieldContainer[bytes]
    description: str
    expected: str
    is_kept_only: bool
    triggers_text: str
    def __init__(self, name: _Optional[str] = ..., definition: _Optional[str] = ..., triggers: _Optional[_Iterable[bytes]] = ..., description: _Optional[str] = ..., expected: _Optional[str] = ..., is_kept_only: _Optional[bool] = ..., triggers_text: _Optional[str] = ...) -> None: ...

class ListDeploymentsRequest(_message.Message):
    __slots__ = ("after", "limit")
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    after: str
    limit: int
    def __init__(self, after: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class GetDeploymentRequest(_message.Message):
    __slots__ = ("deployment_id",)
    DEPLOYMENT_ID_FIELD_NUMBER: _ClassVar[int]
    deployment_id: str
    def __init__(self, deployment_id: _Optional[str] = ...) -> None: ...

class DiffDeploymentRequest(_message.Message):
    __slots__ = ("deployment_id", "old", "new")
    DEPLOYMENT_ID_FIELD_NUMBER: _ClassVar[int]
    OLD_FIELD_NUMBER: _ClassVar[int]
    NEW_FIELD_NUMBER: _ClassVar[int]
    deployment_id: str
    old: str
    new: str
    def __init__(self, deployment_id: _Optional[str] = ..., old: _Optional[str] = ..., new: _Optional[str] = ...) -> None: ...

class ActivateDeploymentRequest(_message.Message):
    __slots__ = ("deployment_id", "version")
    DEPLOYMENT_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    deployment_id: str
    version: str
    def __init__(self, deployment_id: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class UndeployRequest(_message.Message):
    __slots__ = ("deployment_id",)
    DEPLOYMENT_ID_FIELD_NUMBER: _ClassVar[int]
    deployment_id: str
    def __init__(self, deployment_id: _Optional[str] = ...) -> None: ...

class FindExecutionsRequest(_message.Message):
    __slots__ = ("execution_ids", "workflow", "statuses", "error_code", "tag", "text", "since_ms", "until_ms", "parent", "key", "lane", "before", "limit", "page")
    EXECUTION_IDS_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    ERROR_CODE_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    UNTIL_MS_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    LANE_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    execution_ids: _containers.RepeatedScalarFieldContainer[str]
    workflow: str
    statuses: _containers.RepeatedScalarFieldContainer[str]
    error_code: str
    tag: str
    text: str
    since_ms: int
    until_ms: int
    parent: str
    key: str
    lane: str
    before: int
    limit: int
    page: int
    def __init__(self, execution_ids: _Optional[_Iterable[str]] = ..., workflow: _Optional[str] = ..., statuses: _Optional[_Iterable[str]] = ..., error_code: _Optional[str] = ..., tag: _Optional[str] = ..., text: _Optional[str] = ..., since_ms: _Optional[int] = ..., until_ms: _Optional[int] = ..., parent: _Optional[str] = ..., key: _Optional[str] = ..., lane: _Optional[str] = ..., before: _Optional[int] = ..., limit: _Optional[int] = ..., page: _Optional[int] = ...) -> None: ...

class GetExecutionRequest(_message.Message):
    __slots__ = ("execution_id", "wait_ms")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    WAIT_MS_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    wait_ms: int
    def __init__(self, execution_id: _Optional[str] = ..., wait_ms: _Optional[int] = ...) -> None: ...

class FollowExecutionRequest(_message.Message):
    __slots__ = ("execution_id", "after")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    after: int
    def __init__(self, execution_id: _Optional[str] = ..., after: _Optional[int] = ...) -> None: ...

class GetTimelineRequest(_message.Message):
    __slots__ = ("execution_id",)
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    def __init__(self, execution_id: _Optional[str] = ...) -> None: ...

class ChangeExecutionRequest(_message.Message):
    __slots__ = ("execution_id", "verb", "body")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    VERB_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    verb: str
    body: bytes
    def __init__(self, execution_id: _Optional[str] = ..., verb: _Optional[str] = ..., body: _Optional[bytes] = ...) -> None: ...

class StartPlanRequest(_message.Message):
    __slots__ = ("run", "key", "wait_ms", "is_promotable")
    RUN_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    WAIT_MS_FIELD_NUMBER: _ClassVar[int]
    IS_PROMOTABLE_FIELD_NUMBER: _ClassVar[int]
    run: _engine_pb2.RunPlanRequest
    key: str
    wait_ms: int
    is_promotable: bool
    def __init__(self, run: _Optional[_Union[_engine_pb2.RunPlanRequest, _Mapping]] = ..., key: _Optional[str] = ..., wait_ms: _Optional[int] = ..., is_promotable: _Optional[bool] = ...) -> None: ...

class DeliverWebhookRequest(_message.Message):
    __slots__ = ("path", "method", "query", "headers", "body")
    class HeadersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PATH_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    path: str
    method: str
    query: str
    headers: _containers.ScalarMap[str, str]
    body: bytes
    def __init__(self, path: _Optional[str] = ..., method: _Optional[str] = ..., query: _Optional[str] = ..., headers: _Optional[_Mapping[str, str]] = ..., body: _Optional[bytes] = ...) -> None: ...

class ListTriggersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
