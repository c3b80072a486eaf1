/** Of the report: one file without anything beside it, for screens and paper. */
export const style = `
:root{color-scheme:light}
*{box-sizing:border-box}
body{font:15px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;color:#0b0f14;margin:0 auto;padding:24px;max-width:1140px;background:#fff}
h1{font-size:1.6rem;margin:0 0 4px}h2{font-size:1.1rem;margin:26px 0 8px;border-bottom:2px solid #0a5cad;padding-bottom:3px}
article+article{border-top:3px solid #c9d1d9;margin-top:40px;padding-top:24px;break-before:page}
p{margin:4px 0}.muted,figcaption,caption{color:#4b5563}.good{color:#116329}.bad{color:#b3121d}.warn{color:#8a4600}
dl.facts{display:flex;flex-wrap:wrap;gap:10px 30px;margin:14px 0;padding:12px 16px;background:#f6f8fa;border-radius:8px}
dl.facts dt{font-size:.75rem;color:#4b5563}dl.facts dd{margin:0;font-size:1.1rem;font-weight:650}
.two{display:grid;grid-template-columns:380px 1fr;gap:24px;align-items:start}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(420px,1fr));gap:12px 24px}
figure{margin:0;break-inside:avoid}figcaption{font-size:.82rem;margin-bottom:2px}figcaption span{margin-left:12px;white-space:nowrap}
svg text{font:11px system-ui,sans-serif;fill:#4b5563}.grid{stroke:#dde3ea;stroke-width:1}.mark{stroke:#116329;stroke-width:1;stroke-dasharray:2 3}
.map svg{width:100%;border:1px solid #c9d1d9;border-radius:6px}
.moments{display:grid;grid-template-columns:repeat(auto-fill,minmax(420px,1fr));gap:16px 24px}
.moment img{width:100%;border-radius:4px;display:block}.moment .row{display:grid;grid-template-columns:repeat(3,1fr);gap:4px}
.moment small{display:block;color:#4b5563}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:.88rem}
caption{text-align:left;font-size:.82rem;padding-bottom:4px}th{text-align:left;color:#4b5563;font-weight:600}
th,td{padding:3px 10px 3px 0;border-bottom:1px solid #dde3ea;vertical-align:top}td.num,th.num{text-align:right}
td.wide{overflow-wrap:anywhere}.legend{display:flex;flex-wrap:wrap;gap:2px 14px;font-size:.82rem;margin:6px 0}
@media (max-width:800px){.two{grid-template-columns:1fr}}
@media print{body{padding:0;max-width:none;font-size:11px}.plots,.moments{grid-template-columns:1fr 1fr}h2{break-after:avoid}tr{break-inside:avoid}}
`
