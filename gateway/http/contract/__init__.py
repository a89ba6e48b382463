"""The contract of the gateway as documents: OpenAPI, AsyncAPI, and a page of both."""
