export { sceneClasses, scenePalette, writeScene } from '@kestrel/evaluate'
