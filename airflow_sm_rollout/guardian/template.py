"""A CloudFormation template of the guardian as a Lambda function, with what calls it and the least that it must be allowed to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_sm_rollout.aws.iam import guardian_policy
from airflow_sm_rollout.guardian.package import HANDLER

_ALARM_RINGS = {
    "source": ["aws.cloudwatch"],
    "detail-type": ["CloudWatch Alarm State Change"],
    "detail": {"state": {"value": ["ALARM"]}},
}


def render_template(
    prefix: str = "", environment: Mapping[str, str] | None = None, functions: Iterable[str] = ()
) -> dict[str, Any]:
    """The template.

    :param prefix: what the endpoints' names begin with; empty: any endpoint of the account and Region.
    :param environment: more of the function's variables; see :mod:`~airflow_sm_rollout.guardian.handler`.
    :param functions: the names of the Lambda functions that are in front of the endpoints.
    :raises PlanError: for what no endpoint's name begins with.
    """
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "Takes rollouts of SageMaker endpoints back where they do harm or nobody drives them: airflow-sm-rollout's guardian",
        "Parameters": _PARAMETERS,
        "Conditions": {"HasTopic": {"Fn::Not": [{"Fn::Equals": [{"Ref": "AlarmTopic"}, ""]}]}},
        "Resources": {
            "Role": _role(prefix, functions),
            "Function": _function({**({"SM_ROLLOUT_PREFIX": prefix} if prefix else {}), **(environment or {})}),
            "Log": _LOG,
            **_called_by("EachMinute", "all rollouts", {"ScheduleExpression": "rate(1 minute)"}),
            **_called_by("AlarmRings", "the rollouts that watch an alarm which rings", {"EventPattern": _ALARM_RINGS}),
            "Failing": _FAILING,
        },
        "Outputs": {"FunctionName": {"Value": {"Ref": "Function"}}},
    }


_PARAMETERS = {
    "CodeBucket": {
        "Type": "String",
        "Description": "The S3 bucket that holds the archive of sm-rollout guardian package",
    },
    "CodeKey": {"Type": "String", "Default": "guardian.zip", "Description": "The archive's key in it"},
    "AlarmTopic": {
        "Type": "String",
        "Default": "",
        "Description": "ARN of an SNS topic that is told where the guardian could not do something; empty: nobody is",
    },
}
_LOG = {
    "Type": "AWS::Logs::LogGroup",
    "DeletionPolicy": "Delete",
    "UpdateReplacePolicy": "Delete",
    "Properties": {"LogGroupName": {"Fn::Sub": "/aws/lambda/${Function}"}, "RetentionInDays": 30},
}
# A call ends as an error where something could not be done. One in three minutes may be a throttled read.
_FAILING = {
    "Type": "AWS::CloudWatch::Alarm",
    "Condition": "HasTopic",
    "Properties": {
        "AlarmDescription": "The guardian could not look at a rollout, or not take it back",
        "Namespace": "AWS/Lambda",
        "MetricName": "Errors",
        "Dimensions": [{"Name": "FunctionName", "Value": {"Ref": "Function"}}],
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 3,
        "DatapointsToAlarm": 2,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "notBreaching",
        "AlarmActions": [{"Ref": "AlarmTopic"}],
    },
}


def _function(environment: Mapping[str, str]) -> dict[str, Any]:
    return {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Description": "Watches rollouts in progress, and takes them back",
            "Runtime": "python3.13",
            "Handler": HANDLER,
            "Timeout": 60,
            "MemorySize": 256,
            "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            "Code": {"S3Bucket": {"Ref": "CodeBucket"}, "S3Key": {"Ref": "CodeKey"}},
            **({"Environment": {"Variables": dict(environment)}} if environment else {}),
        },
    }


def _role(prefix: str, functions: Iterable[str]) -> dict[str, Any]:
    policy = guardian_policy(prefix, region="${AWS::Region}", account="${AWS::AccountId}", functions=functions)
    statements = [{**each, "Resource": [_resource(arn) for arn in each["Resource"]]} for each in policy["Statement"]]
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    log = {
        "Sid": "WriteItsLog",
        "Effect": "Allow",
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": _resource("arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:/aws/lambda/*"),
    }
    document = {**policy, "Statement": [*statements, log]}
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
            "Policies": [{"PolicyName": "guardian", "PolicyDocument": document}],
        },
    }


def _resource(arn: str) -> str | dict[str, str]:
    """An ARN in the stack's own partition, account and Region."""
    return {"Fn::Sub": arn} if "${" in arn else arn


def _called_by(name: str, what: str, when: Mapping[str, Any]) -> dict[str, Any]:
    """A rule of EventBridge that calls the function, and that it may."""
    arn = {"Fn::GetAtt": ["Function", "Arn"]}
    return {
        name: {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "Description": f"The guardian looks at {what}",
                **when,
                "Targets": [{"Id": "guardian", "Arn": arn}],
            },
        },
        f"{name}MayCall": {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "Action": "lambda:InvokeFunction",
                "FunctionName": {"Ref": "Function"},
                "Principal": "events.amazonaws.com",
                "SourceArn": {"Fn::GetAtt": [name, "Arn"]},
            },
        },
    }
