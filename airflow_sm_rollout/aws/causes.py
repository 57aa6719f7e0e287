"""Why a call to AWS fails, by the name of botocore's exception or by the code of AWS's answer.

One table for all of them. ``tests/aws/test_causes.py`` walks botocore's exceptions and the codes that its service models name for the
calls that this package makes, and fails for one that is not here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum


class Meaning(Enum):
    """What a failure says about the request."""

    WAIT = "nothing: ask again"
    EXISTS = "what it makes is there already"
    GONE = "what it names is not there"
    DENIED = "whoever asks may not do it"
    REFUSED = "AWS does not do it, and answers the same when it is asked again"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why calls fail.

    :param meaning: what that says about the request.
    :param advice: what a person can do about it, as a half sentence; empty: nothing.
    """

    meaning: Meaning
    advice: str = ""


BUSY = Cause(Meaning.WAIT)
UNREACHABLE = Cause(Meaning.WAIT, "if it stays, look at this machine's network, DNS, proxy and certificates")
CALLER_UNKNOWN = Cause(Meaning.WAIT, "if it stays, renew the AWS credentials of this machine or Airflow connection")
CLOCK = Cause(Meaning.WAIT, "if it stays, set this machine's clock")
SETTINGS = Cause(Meaning.WAIT, "if it stays, correct the AWS settings of this machine or Airflow connection")
EXISTS = Cause(Meaning.EXISTS)
GONE = Cause(Meaning.GONE)
DENIED = Cause(Meaning.DENIED, "allow it; sm-rollout iam-policy prints what a rollout must be allowed to do")
QUOTA = Cause(Meaning.REFUSED, "ask AWS for a larger quota, or free some of it")
REFUSED = Cause(Meaning.REFUSED)

_BY_EXCEPTION: Mapping[Cause, str] = {
    BUSY: """
        CapacityNotAvailableError ChecksumError FlexibleChecksumError IncompleteReadError ResponseParserError ResponseStreamingError
        PaginationError
        """,
    UNREACHABLE: """
        HTTPClientError ConnectionError EndpointConnectionError SSLError ConnectionClosedError ReadTimeoutError ConnectTimeoutError
        ProxyConnectionError AwsChunkedWrapperError
        """,
    CALLER_UNKNOWN: """
        NoCredentialsError NoAuthTokenError TokenRetrievalError PartialCredentialsError CredentialRetrievalError MetadataRetrievalError
        RefreshWithMFAUnsupportedError UnknownCredentialError UnknownTokenProviderError SSOError SSOTokenLoadError UnauthorizedSSOTokenError
        LoginError LoginRefreshRequired LoginInsufficientPermissions LoginTokenLoadError LoginAuthorizationCodeError
        """,
    # Files that are being written just now are read as wrong, too.
    SETTINGS: """
        BotoCoreError DataNotFoundError UnknownServiceError UnknownRegionError ApiVersionNotFoundError InvalidIMDSEndpointError
        InvalidIMDSEndpointModeError UnknownSignatureVersionError ServiceNotInRegionError BaseEndpointResolverError NoRegionError
        EndpointVariantError UnknownEndpointError UnknownFIPSEndpointError ProfileNotFound ConfigParseError ConfigNotFound
        InvalidRegionError UnsupportedSignatureVersionError InvalidS3AddressingStyleError InvalidEndpointDiscoveryConfigurationError
        InvalidRetryConfigurationError InvalidMaxRetryAttemptsError InvalidRetryModeError InvalidS3UsEast1RegionalEndpointConfigError
        InvalidSTSRegionalEndpointsConfigError InvalidConfigError InfiniteLoopConfigError MD5UnavailableError MissingDependencyException
        InvalidProxiesConfigError InvalidDefaultsMode InvalidEndpointConfigurationError EndpointProviderError EndpointResolutionError
        UnknownEndpointResolutionBuiltInName InvalidChecksumConfigError UnsupportedServiceProtocolsError UndefinedModelAttributeError
        MissingServiceIdError
        """,
    REFUSED: """
        MissingParametersError ValidationError ParamValidationError UnknownKeyError RangeError UnknownParameterError
        AliasConflictParameterError UnknownServiceStyle OperationNotPageableError UnseekableStreamError WaiterError InvalidExpressionError
        WaiterConfigError UnknownClientMethodError InvalidDNSNameError UnsupportedS3ArnError UnsupportedS3ControlArnError
        InvalidHostLabelError UnsupportedOutpostResourceError UnsupportedS3ConfigurationError UnsupportedS3AccesspointConfigurationError
        UnsupportedS3ControlConfigurationError StubResponseError StubAssertionError UnStubbedResponseError
        """,
}
_BY_CODE: Mapping[Cause, str] = {
    BUSY: """
        Throttling ThrottlingException ThrottledException RequestThrottled RequestThrottledException TooManyRequests
        TooManyRequestsException TooManyUpdates RequestLimitExceeded BandwidthLimitExceeded SlowDown EC2ThrottledException
        ProvisionedThroughputExceededException TransactionInProgressException PriorRequestNotComplete ReplicatedWriteConflictException
        RequestTimeout RequestTimeoutException RequestAborted RequestAbortedException BadDigest
        InternalFailure InternalError InternalServerError InternalServerException InternalServiceError InternalServiceException
        InternalException InternalServiceFault InternalDependencyException ServiceUnavailable ServiceUnavailableException
        ServiceException DependencyException
        ConcurrentUpdateException ConcurrentModificationException Conflict ConflictException ResourceConflict ResourceInUse
        ResourceInUseException ResourceNotReady ResourceNotReadyException ModelNotReadyException
        DeploymentLimitExceededException InvalidNextToken InvalidNextTokenException KMSInternalException
        ResourceConflictException PreconditionFailedException
        """,
    UNREACHABLE: "IDPCommunicationError",
    CALLER_UNKNOWN: """
        ExpiredToken ExpiredTokenException TokenRefreshRequired InvalidToken InvalidTokenException InvalidClientTokenId InvalidAccessKeyId
        UnrecognizedClientException UnrecognizedClient AuthFailure MissingAuthenticationToken MissingAuthenticationTokenException
        IncompleteSignature IncompleteSignatureException SignatureDoesNotMatch InvalidSignature InvalidSignatureException
        UnauthorizedException InvalidIdentityToken IDPRejectedClaim
        """,
    CLOCK: "RequestTimeTooSkewed RequestExpired RequestInTheFuture",
    EXISTS: """
        ParameterAlreadyExists ResourceAlreadyExists ResourceAlreadyExistsException AlreadyExistsException
        ApplicationAlreadyExistsException DeploymentConfigAlreadyExistsException DeploymentGroupAlreadyExistsException
        """,
    GONE: """
        ParameterNotFound ParameterVersionNotFound ResourceNotFound ResourceNotFoundException ObjectNotFoundException NotFoundException
        NoSuchKey NoSuchBucket NoSuchVersion InvalidResourceId
        ApplicationDoesNotExistException DeploymentConfigDoesNotExistException DeploymentGroupDoesNotExistException
        ProvisionedConcurrencyConfigNotFoundException
        DeploymentDoesNotExistException DeploymentAlreadyCompletedException
        """,
    DENIED: """
        AccessDenied AccessDeniedException AccessDeniedFault NotAuthorized NotAuthorizedException Forbidden ForbiddenException
        UnauthorizedOperation UnauthorizedAccess OptInRequired SubscriptionRequiredException RegionDisabledException AllAccessDisabled
        AccountProblem FailedResourceAccessException KMSAccessDeniedException KMS.AccessDeniedException
        """,
    QUOTA: """
        ResourceLimitExceeded LimitExceeded LimitExceededException LimitExceededFault ServiceQuotaExceededException ParameterLimitExceeded
        ApplicationLimitExceededException DeploymentConfigLimitExceededException DeploymentGroupLimitExceededException
        TooManyTagsError CodeStorageExceededException AliasLimitExceededException
        FunctionVersionsPerCapacityProviderLimitExceededException
        """,
    REFUSED: """
        ValidationException ValidationError InvalidParameterValue InvalidParameterValueException InvalidParameterCombination
        InvalidParameterCombinationException InvalidParameter InvalidParameterException InvalidQueryParameter InvalidAction InvalidFormat
        InvalidInput InvalidRequest InvalidRequestException MissingAction MissingParameter MissingParameterException
        MissingRequiredParameter MissingRequiredParameterException MalformedQueryString MalformedHttpRequestException MalformedInput
        MalformedPolicyDocument PackedPolicyTooLarge InvalidContextAssertion SerializationException UnknownOperation
        UnknownOperationException UnsupportedOperation UnsupportedOperationException RequestEntityTooLarge RequestEntityTooLargeException
        NotAcceptable MethodNotAllowed
        InvalidKeyId InvalidFilterKey InvalidFilterOption InvalidFilterValue InvalidAllowedPatternException InvalidPolicyTypeException
        InvalidPolicyAttributeException IncompatiblePolicyException PoliciesLimitExceededException HierarchyLevelLimitExceededException
        HierarchyTypeMismatchException ParameterMaxVersionLimitExceeded ParameterPatternMismatchException UnsupportedParameterType
        ModelError InvalidObjectState KMSDisabledException KMSNotFoundException KMSInvalidStateException KMSInvalidArnException
        InvalidResourceType InvalidCodeSignatureException CodeVerificationFailedException CodeSigningConfigNotFoundException
        AlarmsLimitExceededException ApplicationNameRequiredException BatchLimitExceededException DeploymentConfigInUseException
        DeploymentConfigNameRequiredException DeploymentGroupNameRequiredException DeploymentIdRequiredException
        DescriptionTooLongException ECSServiceMappingLimitExceededException InvalidAlarmConfigException InvalidApplicationNameException
        InvalidAutoRollbackConfigException InvalidAutoScalingGroupException InvalidAutoScalingGroupProcessToSuspendException
        InvalidBlueGreenDeploymentConfigurationException InvalidComputePlatformException InvalidDeploymentConfigNameException
        InvalidDeploymentGroupNameException InvalidDeploymentIdException InvalidDeploymentStatusException InvalidDeploymentStyleException
        InvalidEC2TagCombinationException InvalidEC2TagException InvalidECSServiceException InvalidExternalIdException
        InvalidFileExistsBehaviorException InvalidGitHubAccountTokenException InvalidIgnoreApplicationStopFailuresValueException
        InvalidInputException InvalidLoadBalancerInfoException InvalidMinimumHealthyHostValueException
        InvalidOnPremisesTagCombinationException InvalidOperationException InvalidRevisionException InvalidRoleException
        InvalidTagException InvalidTagsToAddException InvalidTargetGroupPairException InvalidTargetInstancesException
        InvalidTimeRangeException InvalidTrafficRoutingConfigurationException InvalidTriggerConfigException
        InvalidUpdateOutdatedInstancesOnlyValueException InvalidZonalDeploymentConfigurationException LifecycleHookLimitExceededException
        RevisionDoesNotExistException RevisionRequiredException RoleRequiredException TagSetListLimitExceededException
        TriggerTargetsLimitExceededException UnsupportedActionForDeploymentTypeException
        """,
}


def _inverted(table: Mapping[Cause, str]) -> Iterator[tuple[str, Cause]]:
    for cause, names in table.items():
        yield from ((name, cause) for name in names.split())


CAUSE_OF_EXCEPTION: Mapping[str, Cause] = dict(_inverted(_BY_EXCEPTION))
"""By the name of the class, since an older botocore lacks some of them."""
CAUSE_OF_CODE: Mapping[str, Cause] = dict(_inverted(_BY_CODE))
