// The AWS SDK for JavaScript v3. Its packages are looked for where this file is copied to: beside node_modules.
import * as sm from "@aws-sdk/client-sagemaker";
import * as rt from "@aws-sdk/client-sagemaker-runtime";
import * as cw from "@aws-sdk/client-cloudwatch";

const name = process.env.CLIENT_NAME;
const settings = { maxAttempts: 1 };
const sagemaker = new sm.SageMakerClient(settings);
const runtime = new rt.SageMakerRuntimeClient(settings);
const cloudwatch = new cw.CloudWatchClient(settings);
const waiting = { client: sagemaker, maxWaitTime: 120, minDelay: 1, maxDelay: 2 };
const endpoint = { EndpointName: name };
const alarms = { AlarmNames: [name] };

function equal(found, expected) {
  const [one, other] = [JSON.stringify(found), JSON.stringify(expected)];
  if (one !== other) throw new Error(`${one} instead of ${other}`);
}

function configure(config, weights) {
  const entries = Object.entries(weights).map(([variant, weight]) => ({
    VariantName: variant,
    ModelName: `${name}-model`,
    InitialInstanceCount: 1,
    InstanceType: "ml.m5.large",
    InitialVariantWeight: weight,
  }));
  const wished = { EndpointConfigName: config, ProductionVariants: entries };
  return sagemaker.send(new sm.CreateEndpointConfigCommand(wished));
}

async function weightsNow() {
  const { ProductionVariants } = await sagemaker.send(new sm.DescribeEndpointCommand(endpoint));
  return Object.fromEntries(ProductionVariants.map((variant) => [variant.VariantName, variant.CurrentWeight]));
}

async function invocations() {
  const dimensions = [{ Name: "EndpointName", Value: name }, { Name: "VariantName", Value: "blue" }];
  const metric = { Namespace: "AWS/SageMaker", MetricName: "Invocations", Dimensions: dimensions };
  const query = { Id: "calls", MetricStat: { Metric: metric, Period: 60, Stat: "Sum" } };
  const now = Date.now();
  const range = { StartTime: new Date(now - 3600e3), EndTime: new Date(now) };
  const wished = new cw.GetMetricDataCommand({ MetricDataQueries: [query], ...range });
  const { MetricDataResults } = await cloudwatch.send(wished);
  if (!MetricDataResults[0].Timestamps.every((moment) => moment instanceof Date)) throw new Error("a time is no Date");
  return MetricDataResults[0].Values.reduce((sum, value) => sum + value, 0);
}

const steps = {
  async deploy() {
    const container = { Image: "repo/wine:1", ModelDataUrl: `s3://${process.env.CLIENT_BUCKET}/model.tar.gz` };
    const role = "arn:aws:iam::123456789012:role/sagemaker";
    const model = { ModelName: `${name}-model`, PrimaryContainer: container, ExecutionRoleArn: role };
    await sagemaker.send(new sm.CreateModelCommand(model));
    await configure(`${name}-1`, { blue: 1 });
    const tags = [{ Key: "team", Value: "ml" }];
    await sagemaker.send(new sm.CreateEndpointCommand({ ...endpoint, EndpointConfigName: `${name}-1`, Tags: tags }));
    equal((await sm.waitUntilEndpointInService(waiting, endpoint)).state, "SUCCESS");
  },
  async invoke() {
    const asked = { ...endpoint, ContentType: "application/json", Body: '{"instances": []}' };
    const answer = await runtime.send(new rt.InvokeEndpointCommand(asked));
    equal([answer.InvokedProductionVariant, new TextDecoder().decode(answer.Body)], ["blue", "{}"]);
  },
  async refused() {
    let error = null;
    await sagemaker.send(new sm.DescribeEndpointCommand({ EndpointName: "nobody" })).catch((caught) => (error = caught));
    equal([error?.name, error?.$metadata.httpStatusCode], ["ValidationException", 400]);
    const other = new rt.InvokeEndpointCommand({ EndpointName: "nobody", Body: "x" });
    await runtime.send(other).catch((caught) => (error = caught));
    equal(error.name, "ValidationError");
    const state = { AlarmName: "nobody", StateValue: "OK", StateReason: "a test" };
    await cloudwatch.send(new cw.SetAlarmStateCommand(state)).catch((caught) => (error = caught));
    equal(error instanceof cw.ResourceNotFound, true);
  },
  async update() {
    await configure(`${name}-2`, { blue: 9, green: 1 });
    await sagemaker.send(new sm.UpdateEndpointCommand({ ...endpoint, EndpointConfigName: `${name}-2` }));
    await sm.waitUntilEndpointInService(waiting, endpoint);
    equal((await sagemaker.send(new sm.DescribeEndpointCommand(endpoint))).EndpointConfigName, `${name}-2`);
  },
  async weights() {
    const wished = [{ VariantName: "green", DesiredWeight: 9 }];
    const change = { ...endpoint, DesiredWeightsAndCapacities: wished };
    await sagemaker.send(new sm.UpdateEndpointWeightsAndCapacitiesCommand(change));
    await sm.waitUntilEndpointInService(waiting, endpoint);
    equal(await weightsNow(), { blue: 9, green: 9 });
  },
  async lists() {
    const found = [];
    const pages = sm.paginateListEndpointConfigs({ client: sagemaker, pageSize: 1 }, { NameContains: `${name}-` });
    for await (const page of pages) found.push(...page.EndpointConfigs.map((entry) => entry.EndpointConfigName));
    equal(found.sort(), [`${name}-1`, `${name}-2`]);
  },
  async metrics() {
    for (let left = 100; !(await invocations()); left -= 1) {
      if (!left) throw new Error("no Invocations after 100 s");
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  },
  async alarm() {
    const wished = {
      AlarmName: name,
      Namespace: "AWS/SageMaker",
      MetricName: "Invocation5XXErrors",
      Dimensions: [{ Name: "EndpointName", Value: name }],
      Statistic: "Sum",
      Period: 60,
      EvaluationPeriods: 1,
      Threshold: 1,
      ComparisonOperator: "GreaterThanOrEqualToThreshold",
    };
    await cloudwatch.send(new cw.PutMetricAlarmCommand(wished));
    const state = { AlarmName: name, StateValue: "ALARM", StateReason: "a test" };
    await cloudwatch.send(new cw.SetAlarmStateCommand(state));
    const [alarm] = (await cloudwatch.send(new cw.DescribeAlarmsCommand(alarms))).MetricAlarms;
    equal([alarm.Threshold, alarm.StateUpdatedTimestamp instanceof Date], [1, true]);
    const asked = { AlarmName: name, HistoryItemType: "StateUpdate" };
    const history = await cloudwatch.send(new cw.DescribeAlarmHistoryCommand(asked));
    equal(history.AlarmHistoryItems.some((item) => item.HistorySummary.endsWith("to ALARM")), true);
    await cloudwatch.send(new cw.DeleteAlarmsCommand(alarms));
    equal((await cloudwatch.send(new cw.DescribeAlarmsCommand(alarms))).MetricAlarms, []);
  },
  async delete() {
    await sagemaker.send(new sm.DeleteEndpointCommand(endpoint));
    equal((await sm.waitUntilEndpointDeleted(waiting, endpoint)).state, "SUCCESS");
    for (const config of [`${name}-1`, `${name}-2`]) {
      await sagemaker.send(new sm.DeleteEndpointConfigCommand({ EndpointConfigName: config }));
    }
    await sagemaker.send(new sm.DeleteModelCommand({ ModelName: `${name}-model` }));
  },
};

for (const [step, deed] of Object.entries(steps)) {
  const began = Date.now();
  const error = await deed().then(() => null, (failure) => `${failure.name}: ${failure.message}`);
  console.log("STEP " + JSON.stringify({ step, error, seconds: (Date.now() - began) / 1000 }));
}
