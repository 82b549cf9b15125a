/** VitePress' own theme, with room for code and tables. */
import theme from 'vitepress/theme'
import './style.css'

export default theme
