import { message } from '@kestrel/link/mavlink'
import { common, minimal, standard } from 'mavlink-mappings'
import { copterModes } from './copter-modes.js'
import type { Snapshot } from './vehicle.js'

const { MavModeFlag, MavState } = minimal

/** HEARTBEAT (#0) of an ArduCopter. */
export function heartbeat({ state, mode }: Snapshot) {
  const automatic = mode === copterModes.AUTO || mode === copterModes.GUIDED
  return message(minimal.Heartbeat, {
    type: minimal.MavType.QUADROTOR,
    autopilot: minimal.MavAutopilot.ARDUPILOTMEGA,
    baseMode:
      MavModeFlag.CUSTOM_MODE_ENABLED |
      MavModeFlag.STABILIZE_ENABLED |
      MavModeFlag.MANUAL_INPUT_ENABLED |
      (automatic ? MavModeFlag.GUIDED_ENABLED : 0) |
      (state.armed ? MavModeFlag.SAFETY_ARMED : 0),
    customMode: mode,
    systemStatus: isFlying(state.phase) ? MavState.ACTIVE : MavState.STANDBY,
    mavlinkVersion: 3,
  })
}

/** SYS_STATUS (#1): gyro, accelerometer, compass, barometer, GPS, controllers, RC, AHRS, battery, and motors where armed. */
export function sysStatus({ state, charge }: Snapshot) {
  const sensor = common.MavSysStatusSensor
  const present =
    sensor.SENSOR_3D_GYRO |
    sensor.SENSOR_3D_ACCEL |
    sensor.SENSOR_3D_MAG |
    sensor.SENSOR_ABSOLUTE_PRESSURE |
    sensor.SENSOR_GPS |
    sensor.SENSOR_ANGULAR_RATE_CONTROL |
    sensor.SENSOR_ATTITUDE_STABILIZATION |
    sensor.SENSOR_YAW_POSITION |
    sensor.SENSOR_Z_ALTITUDE_CONTROL |
    sensor.SENSOR_XY_POSITION_CONTROL |
    sensor.SENSOR_MOTOR_OUTPUTS |
    sensor.SENSOR_RC_RECEIVER |
    sensor.AHRS |
    sensor.LOGGING |
    sensor.SENSOR_BATTERY |
    sensor.PREARM_CHECK
  const none = 0 as common.MavSysStatusSensorExtended
  return message(common.SysStatus, {
    onboardControlSensorsPresent: present,
    onboardControlSensorsEnabled: state.armed ? present : present & ~sensor.SENSOR_MOTOR_OUTPUTS,
    onboardControlSensorsHealth: present,
    load: 240,
    voltageBattery: Math.round(charge.voltage * 1000),
    currentBattery: Math.round(charge.currentA * 100),
    batteryRemaining: charge.remainingPercent,
    dropRateComm: 0,
    errorsComm: 0,
    errorsCount1: 0,
    errorsCount2: 0,
    errorsCount3: 0,
    errorsCount4: 0,
    onboardControlSensorsPresentExtended: none,
    onboardControlSensorsEnabledExtended: none,
    onboardControlSensorsHealthExtended: none,
  })
}

/** BATTERY_STATUS (#147); cells that are not there are UINT16_MAX, in the extension 0. */
export function batteryStatus({ charge }: Snapshot) {
  const millivolts = charge.cellVoltages.map(volts => Math.round(volts * 1000))
  return message(common.BatteryStatus, {
    id: 0,
    batteryFunction: common.MavBatteryFunction.ALL,
    type: common.MavBatteryType.LION,
    temperature: 2500,
    voltages: [...millivolts, ...Array<number>(10 - millivolts.length).fill(0xffff)],
    currentBattery: Math.round(charge.currentA * 100),
    currentConsumed: Math.round(charge.consumedMah),
    energyConsumed: Math.round((charge.consumedMah / 1000) * charge.voltage * 36),
    batteryRemaining: charge.remainingPercent,
    timeRemaining: 0,
    chargeState: common.MavBatteryChargeState.OK,
    voltagesExt: [0, 0, 0, 0],
    mode: common.MavBatteryMode.UNKNOWN,
    faultBitmask: 0 as common.MavBatteryFault,
  })
}

/** SYSTEM_TIME (#2). */
export function systemTime({ bootMs, unixMs }: Snapshot) {
  return message(common.SystemTime, {
    timeUnixUsec: BigInt(Math.floor(unixMs * 1000)),
    timeBootMs: bootMs,
  })
}

/** EXTENDED_SYS_STATE (#245). */
export function extendedSysState({ state }: Snapshot) {
  const landed = common.MavLandedState
  return message(common.ExtendedSysState, {
    vtolState: common.MavVtolState.UNDEFINED,
    landedState:
      state.phase === 'take-off'
        ? landed.TAKEOFF
        : state.phase === 'landing'
          ? landed.LANDING
          : isFlying(state.phase)
            ? landed.IN_AIR
            : landed.ON_GROUND,
  })
}

/** MISSION_CURRENT (#42). */
export function missionCurrent({ state, plan }: Snapshot) {
  const { MissionState } = common
  return message(common.MissionCurrent, {
    seq: plan.seqOf[state.missionItem] ?? 0,
    // As in the message's description: without item 0, which is home.
    total: plan.items.length - 1,
    missionState:
      state.phase === 'landed'
        ? MissionState.COMPLETE
        : state.armed
          ? MissionState.ACTIVE
          : MissionState.NOT_STARTED,
    missionMode: state.armed ? 1 : 2,
    missionId: 0,
    fenceId: 0,
    rallyPointsId: 0,
  })
}

/** HOME_POSITION (#242). */
export function homePosition({ bootMs, home, homeZ }: Snapshot) {
  return message(common.HomePosition, {
    latitude: Math.round(home.latitude * 1e7),
    longitude: Math.round(home.longitude * 1e7),
    altitude: Math.round(homeZ * 1000),
    x: 0,
    y: 0,
    z: 0,
    q: [1, 0, 0, 0],
    approachX: 0,
    approachY: 0,
    approachZ: 0,
    timeUsec: BigInt(bootMs) * 1000n,
  })
}

/** AUTOPILOT_VERSION (#148): says the version whose messages are spoken, and in the custom version that it is a simulator. */
export function autopilotVersion() {
  const capability = standard.MavProtocolCapability
  return message(standard.AutopilotVersion, {
    // A uint64 on the wire, which the mappings type as a number.
    capabilities: BigInt(
      capability.MISSION_FLOAT |
        capability.PARAM_FLOAT |
        capability.MISSION_INT |
        capability.COMMAND_INT |
        capability.MAVLINK2,
    ) as unknown as standard.MavProtocolCapability,
    // Major, minor, patch and FIRMWARE_VERSION_TYPE_OFFICIAL.
    flightSwVersion: ((4 << 24) | (5 << 16) | (7 << 8) | 255) >>> 0,
    middlewareSwVersion: 0,
    osSwVersion: 0,
    boardVersion: 0,
    flightCustomVersion: [...Buffer.from('kestrel\0')],
    middlewareCustomVersion: Array<number>(8).fill(0),
    osCustomVersion: Array<number>(8).fill(0),
    vendorId: 0,
    productId: 0,
    uid: 0n,
    uid2: Array<number>(18).fill(0),
  })
}

function isFlying(phase: Snapshot['state']['phase']): boolean {
  return phase !== 'ground' && phase !== 'landed'
}
