import { z } from 'zod'
import { agentSchema } from './config.js'

interface Option {
  path: string
  /** Absent where the option is required or has no default. */
  fallback?: unknown
  required: boolean
  help: string
}

/** Every option of the schema with its default and help text, as a commented YAML-like list. */
export function configHelp(): string {
  const options = listOptions(agentSchema, [])
  const width = Math.max(...options.map(({ path }) => path.length))
  const lines = options.map(({ path, fallback, required, help }) => {
    const value = required ? '(required)' : fallback === undefined ? '(optional)' : String(fallback)
    return `  ${path.padEnd(width)}  ${value.padEnd(22)}  ${help}`
  })
  return ['Options of agent.yaml, their defaults and what they do:', '', ...lines].join('\n')
}

function listOptions(schema: z.ZodObject, path: string[]): Option[] {
  return Object.entries(schema.shape).flatMap(([key, value]) => {
    const { inner, fallback, required } = unwrap(value as z.ZodType)
    const here = [...path, key]
    if (inner instanceof z.ZodObject) return listOptions(inner, here)
    const choices = inner instanceof z.ZodEnum ? ` (${inner.options.join(', ')})` : ''
    const help = `${helpOf(value as z.ZodType)}${choices}`
    return [{ path: here.join('.'), fallback, required, help }]
  })
}

function helpOf(schema: z.ZodType): string {
  return schema.description ?? ''
}

/** Looks through defaults and optionals. */
function unwrap(schema: z.ZodType): { inner: z.ZodType; fallback?: unknown; required: boolean } {
  if (schema instanceof z.ZodDefault) {
    return { inner: schema.unwrap() as z.ZodType, fallback: schema.def.defaultValue, required: false }
  }
  if (schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional) {
    return { inner: schema.unwrap() as z.ZodType, required: false }
  }
  return { inner: schema, required: true }
}
