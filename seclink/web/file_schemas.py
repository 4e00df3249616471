"""The JSON of the operations on uploads, like `schemas`."""

from typing import Annotated

from msgspec import Meta

from seclink.web.schemas import Instant, RequestModel, ResponseModel


class UploadLimits(ResponseModel):
    """The limits for files of this caller, in bytes before encryption; `client_bytes` of a day, without an API key."""

    allowed: bool
    max_bytes: int
    client_bytes: int | None
    chunk_bytes: int
    grant_seconds: int


class CreateUpload(RequestModel):
    size: Annotated[int, Meta(description="The bytes of all chunks.")]
    secrets: Annotated[int, Meta(description="How many secrets it is for.")] = 1


class UploadBegun(ResponseModel):
    upload_id: str
    upload_token: str
    size: int
    chunk_bytes: int
    chunks: int
    expires_at: Instant


class UploadStatus(ResponseModel):
    upload_id: str
    size: int
    chunk_bytes: int
    chunks: int
    received: Annotated[
        list[tuple[int, int]], Meta(description="The chunks that are there, as ranges with both ends included.")
    ]
    expires_at: Instant
